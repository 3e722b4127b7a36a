"""How well the served graphs of a language model foresee held-out text."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from models.config import RunConfig, SourceConfig
from models.training.data.sources import Example, batch_examples, pad_ids
from models.training.data.texts import count_characters, cut_valid, read_texts
from models.training.metrics import Figure, text_figures
from models.training.vocabulary.text_subwords import UNK
from service.engine.batch import TokenSequence
from service.engine.generation.generator import GeneratorRunner, StepSession
from service.repository.model import LoadedModel, softmax

BATCH_TOKENS = 4096
TINY = np.finfo(np.float32).tiny


def measure_texts(
    model: LoadedModel, config: RunConfig, source: SourceConfig, data: Path
) -> Iterator[tuple[str, Figure]]:
    """Yields the figures of a source's test split, and of its validation split, with their names.

    Raises:
        FileNotFoundError: a split is missing.
    """
    for split in ("test", "valid"):
        stem = getattr(source, split)
        if not stem:
            continue
        texts = read_texts(config, source, data, model.tokenizer, split)
        nats = sum(sum_losses(model, batch) for batch in cut_batches(model, config, texts))
        for figure in text_figures(nats, count_characters(texts, model.tokenizer)):
            yield f"{source.path} {stem}", figure


def cut_batches(
    model: LoadedModel, config: RunConfig, texts: Sequence[Example]
) -> list[list[Example]]:
    """Rows that are read side by side: short texts of similar length, or streams of a long one."""
    ids = model.manifest.ids
    assert ids.bos_id is not None, "the manifest of a language model has a bos_id"
    if config.condition:
        return batch_examples(texts, BATCH_TOKENS)
    return [cut_valid(text, ids.bos_id, ids.pad_id) for text in texts]


def sum_losses(model: LoadedModel, examples: Sequence[Example]) -> float:
    """Sum over all tokens of the negative log-probability in nats, as served: step by step."""
    assert isinstance(model.runner, GeneratorRunner)
    session, pad_id = model.runner.session, model.manifest.ids.pad_id
    begin(session, examples)
    # what is read, but never written
    left_out = [pad_id, model.tokenizer.token_id(UNK)]
    inputs, targets = zip(*((each.input_ids, each.target_ids) for each in examples), strict=True)
    total = sum_steps(session, inputs, targets, pad_id, left_out)
    session.clear()
    return total


def sum_steps(
    session: StepSession,
    inputs: Sequence[list[int]],
    targets: Sequence[list[int]],
    pad_id: int,
    left_out: Sequence[int],
) -> float:
    """Sum over all targets of their negative log-probability in nats.

    Args:
        session: has read what comes before the first inputs.
        inputs: the tokens of each row.
        targets: the token after each of them.
        pad_id: fills short rows.
        left_out: targets that do not count.
    """
    padded, expected = (pad_ids(rows, pad_id)[0].T.numpy() for rows in (inputs, targets))
    rows = np.arange(len(inputs))
    total = 0.0
    for token_ids, wanted in zip(padded, expected, strict=True):
        probabilities = softmax(session.step(token_ids, rows))[rows, wanted]
        counted = probabilities[~np.isin(wanted, left_out)]
        total -= float(np.log(np.maximum(counted, TINY)).sum())
    return total


def begin(session: StepSession, examples: Sequence[Example]) -> None:
    """Sets the first state of each row."""
    session.clear()
    sequences = [TokenSequence(example.input_ids[:1], 0.0, math.inf) for example in examples]
    for sequence, example in zip(sequences, examples, strict=True):
        sequence.features = example.features or None
    session.read(sequences)
