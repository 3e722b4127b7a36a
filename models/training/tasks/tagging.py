"""Tagging as seen by training: one label per token."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from models.config import RunConfig, SourceConfig
from models.networks.tagger import build_tagger
from models.training.data.held_out import read_training
from models.training.data.labelled_spans import label_tokens, parse_spans
from models.training.data.sources import (
    Example,
    Row,
    batch_examples,
    bucket_batches,
    check_splits,
    limit_rows,
    pad_ids,
    read_source,
    sample_weighted,
)
from models.training.metrics import Figure, tagging_figures
from models.training.vocabulary.subwords import PAD
from service.text.tokenizer import Tokenizer

IGNORED = -100  # label of padding, which has no loss
VALID_BATCH_TOKENS = 8192


@dataclass(frozen=True)
class LabelledText:
    """A text in token ids, with the label of each token.

    Attributes:
        judged: whether each token counts in the figures; white space does not.
    """

    example: Example
    judged: list[bool]

    def __len__(self) -> int:
        return len(self.judged)


class TaggingTask:
    """Labels each token of a text."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, data: Path) -> None:
        self.config = config
        self.pad_id = tokenizer.token_id(PAD)
        self._train = [
            (
                source.weight,
                [text.example for text in encode_texts(config, source, "train", rows, tokenizer)],
            )
            for source, rows in read_training(config, data)
        ]
        limit = config.training.valid_limit
        self._valid = {
            source.path: encode_texts(
                config,
                source,
                "valid",
                limit_rows(read_source(config, source, data, "valid"), limit),
                tokenizer,
            )
            for source in config.sources
            if source.has_valid
        }
        check_splits(self._train, self._valid)

    def build_model(self) -> nn.Module:
        return build_tagger(self.config.model, len(self.config.labels))

    def sample_batches(self, rng: random.Random) -> list[list[Example]]:
        return batch_examples(self.sample_epoch(rng), self.config.training.batch_tokens, rng)

    def sample_epoch(self, rng: random.Random) -> list[Example]:
        limit = self.config.training.crop_tokens
        return [
            crop_window(example, limit, rng)
            for weight, examples in self._train
            for example in sample_weighted(examples, weight, rng)
        ]

    def loss(self, model: nn.Module, examples: Sequence[Example], device: torch.device) -> Tensor:
        input_ids, lengths = pad_ids([example.input_ids for example in examples], self.pad_id)
        labels, _ = pad_ids([example.target_ids for example in examples], IGNORED)
        logits = model(input_ids.to(device), lengths.to(device))
        return cross_entropy(
            logits.float().flatten(0, 1),
            labels.to(device).flatten(),
            ignore_index=IGNORED,
            label_smoothing=self.config.training.label_smoothing,
        )

    @torch.inference_mode()
    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        figures = {
            f"{path} {figure.metric}": figure.value
            for path, texts in self._valid.items()
            for figure in self._measure(model, texts, device)
        }
        scores = [value for name, value in figures.items() if name.endswith("F1")]
        return {"score": sum(scores) / len(scores), **figures}

    def _measure(
        self, model: nn.Module, texts: Sequence[LabelledText], device: torch.device
    ) -> list[Figure]:
        predicted = label_examples(model, [text.example for text in texts], self.pad_id, device)
        return measure_labels(predicted, texts, self.config.labels)


def check_spans(config: RunConfig, source: SourceConfig, split: str, rows: Sequence[Row]) -> None:
    """Reads the spans of each row.

    Raises:
        ValueError: spans are malformed, or a name is unknown.
    """
    for number, (column, text) in enumerate(rows, 1):
        try:
            label_tokens(parse_spans(column, text), [], config.labels)
        except ValueError as exc:
            raise ValueError(f"{source.path}, {split}, row {number}: {exc}") from exc


def encode_texts(
    config: RunConfig,
    source: SourceConfig,
    split: str,
    rows: Sequence[Row],
    tokenizer: Tokenizer,
) -> list[LabelledText]:
    """Encodes texts with labelled spans; texts without tokens are passed over.

    Raises:
        ValueError: see `check_spans`.
    """
    check_spans(config, source, split, rows)
    texts = []
    encoded = tokenizer.encode_batch([text for _, text in rows])
    for (column, text), input_ids in zip(rows, encoded, strict=True):
        if input_ids:
            tokens = tokenizer.spans(text)
            labels = label_tokens(parse_spans(column, text), tokens, config.labels)
            judged = [start < end for start, end in tokens]
            texts.append(LabelledText(Example(input_ids, labels), judged))
    return texts


def label_examples(
    model: nn.Module, examples: Sequence[Example], pad_id: int, device: torch.device
) -> list[list[int]]:
    """The label that a network gives each token, in the order of the examples."""
    found: list[list[int]] = [[]] * len(examples)
    for batch in bucket_batches([len(example) for example in examples], VALID_BATCH_TOKENS):
        input_ids, lengths = pad_ids([examples[index].input_ids for index in batch], pad_id)
        best = model(input_ids.to(device), lengths.to(device)).argmax(dim=-1).cpu()
        for index, row in zip(batch, best.tolist(), strict=True):
            found[index] = row[: len(examples[index])]
    return found


def measure_labels(
    predicted: Sequence[Sequence[int]], texts: Sequence[LabelledText], labels: Sequence[str]
) -> list[Figure]:
    """Compares labels, as places in `labels`, with those of the texts."""
    pairs = [
        (
            [labels[each] for each in compress(row, text.judged)],
            [labels[each] for each in compress(text.example.target_ids, text.judged)],
        )
        for row, text in zip(predicted, texts, strict=True)
    ]
    return tagging_figures([first for first, _ in pairs], [second for _, second in pairs])


def crop_window(example: Example, max_tokens: int, rng: random.Random) -> Example:
    """Crops a text above `max_tokens` to a random window."""
    surplus = len(example.input_ids) - max_tokens
    if surplus <= 0:
        return example
    start = rng.randint(0, surplus)
    window = slice(start, start + max_tokens)
    return Example(example.input_ids[window], example.target_ids[window])
