"""Generates a training set of labelled sentences from longer labelled texts (self-training).

Run it as `python -m models.synthesis.label ...`.

Trained classifiers score each sentence, and the label of its text serves as a prior. Sentences with
a confident result are kept. Rows held out from training are not used.
"""

import argparse
import random
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from models.config import RunConfig
from models.networks.classifier import Classifier
from models.training.data.sources import Example, index_labels, read_source, write_split
from models.training.runs import Run, add_run_arguments, positive, read_run
from models.training.tasks.classification import classify_examples
from models.training.vocabulary.subwords import PAD
from service.errors import ArtefactError

MIN_WORDS, MAX_WORDS = 4, 40
PRIOR = 0.8  # log-odds that the label of a text adds to its sentences
MIN_LOGIT = 2.0  # log-odds above which a sentence is kept: 88 %
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')]*\s+(?=[A-Z\"'(0-9])")
LINE_BREAK = re.compile(r"<br\s*/?>")


class Teacher:
    """Trained classifier with two labels.

    Raises:
        ValueError: the run has another task or another number of labels.
    """

    def __init__(self, run: Run) -> None:
        if not isinstance(run.model, Classifier) or len(run.config.labels) != 2:
            raise ValueError(f"{run.config.name} is not a classifier with two labels")
        self.config, self._tokenizer, self._model = run.config, run.tokenizer, run.model

    @torch.inference_mode()
    def read(self, texts: Sequence[str]) -> Tensor:
        """Returns the log-odds (N) of the second label, in the order of the texts."""
        pad_id = self._tokenizer.token_id(PAD)
        encoded = self._tokenizer.encode_batch(texts)
        examples = [Example(ids, [0]) for ids in encoded]
        logits = classify_examples(self._model, examples, pad_id, torch.device("cpu"))
        return logits[:, 1] - logits[:, 0]


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse_arguments(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        teachers = [Teacher(read_run(folder)) for folder in arguments.runs]
        check_labels(teachers)
        sentences = draw_sentences(
            teachers[0].config, arguments.source, arguments.data, arguments.num_sentences
        )
        kept = label_sentences(teachers, sentences)
        write_split(arguments.out, "train", kept)
    except (ValueError, OSError, ArtefactError) as exc:
        raise SystemExit(f"models.synthesis.label: {exc}") from exc
    share = sum(label for label, _ in kept) / max(1, len(kept))
    print(
        f"kept {len(kept)} of {len(sentences)} sentences, {share:.0%} "
        f"{teachers[0].config.labels[1]}, in {arguments.out}"
    )


def check_labels(teachers: Sequence[Teacher]) -> None:
    """Checks that all teachers have the same labels, since their log-odds are averaged.

    Raises:
        ValueError: labels or their order differ.
    """
    labels = teachers[0].config.labels
    for teacher in teachers:
        if teacher.config.labels != labels:
            raise ValueError(
                f"{teacher.config.name} has the labels {', '.join(teacher.config.labels)}, "
                f"{teachers[0].config.name} {', '.join(labels)}; all runs must have the same labels"
            )


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.synthesis.label", description=__doc__)
    add_run_arguments(parser, "classifiers")
    parser.add_argument("--out", type=Path, required=True, help="folder to write train.tsv into")
    parser.add_argument(
        "--num-sentences", type=positive, default=100_000, help="drawn at random (default: 100000)"
    )
    return parser.parse_args(argv)


def draw_sentences(
    config: RunConfig, path: str, data: Path, num_sentences: int
) -> list[tuple[int, str]]:
    """Draws sentences of a source's training texts with the labels of the texts; deterministic.

    Raises:
        ValueError: the configuration has no such source, or it has no sentences.
    """
    rows = read_source(config, config.find_source(path), data, "train")
    sentences = [
        (label, sentence)
        for label, (_, text) in zip(index_labels(rows, config.labels), rows, strict=True)
        for sentence in split_sentences(text)
    ]
    if not sentences:
        raise ValueError(f"{path} has no sentences of {MIN_WORDS} to {MAX_WORDS} words")
    random.Random(1).shuffle(sentences)
    return sentences[:num_sentences]


def split_sentences(text: str) -> list[str]:
    """Splits a text into sentences of 4 to 40 words; "Mr. Hill" is split too."""
    parts = SENTENCE_END.split(LINE_BREAK.sub(" ", text))
    words = [part.split() for part in parts]
    return [" ".join(each) for each in words if MIN_WORDS <= len(each) <= MAX_WORDS]


def label_sentences(
    teachers: Sequence[Teacher], sentences: Sequence[tuple[int, str]]
) -> list[tuple[int, str]]:
    """Labels the sentences of which the teachers' mean plus the prior is confident."""
    readings = [teacher.read([text for _, text in sentences]) for teacher in teachers]
    leanings = torch.tensor([PRIOR if label else -PRIOR for label, _ in sentences])
    logits = (torch.stack(readings).mean(dim=0) + leanings).tolist()
    return [
        (int(logit > 0.0), text)
        for logit, (_, text) in zip(logits, sentences, strict=True)
        if abs(logit) > MIN_LOGIT
    ]


if __name__ == "__main__":
    main()
