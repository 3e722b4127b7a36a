"""Classification of texts by label."""

import math
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from models.config import RunConfig, SourceConfig
from models.networks.classifier import Classifier
from models.training.adversarial import perturb
from models.training.data.held_out import read_training
from models.training.data.sources import (
    Example,
    Row,
    batch_examples,
    bucket_batches,
    check_splits,
    index_labels,
    limit_rows,
    pad_ids,
    read_source,
    sample_weighted,
)
from models.training.metrics import accuracy
from models.training.vocabulary.subwords import PAD
from service.text.tokenizer import Tokenizer

VALID_BATCH_TOKENS = 8192


class ClassificationTask:
    """Classification of texts by label."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, data: Path) -> None:
        self.config = config
        self.pad_id = tokenizer.token_id(PAD)
        limit = config.training.valid_limit
        self._train = [
            (source.weight, encode_examples(config, source, "train", rows, tokenizer))
            for source, rows in read_training(config, data)
        ]
        self._valid = {
            source.path: read_examples(config, source, data, tokenizer, "valid", limit)
            for source in config.sources
            if source.has_valid
        }
        check_splits(self._train, self._valid)

    def build_model(self) -> nn.Module:
        return Classifier(self.config.model, len(self.config.labels))

    def sample_batches(self, rng: random.Random) -> list[list[Example]]:
        return batch_examples(self.sample_epoch(rng), self.config.training.batch_tokens, rng)

    def sample_epoch(self, rng: random.Random) -> list[Example]:
        training = self.config.training
        return [
            crop(example, training.min_crop_tokens, training.crop_tokens, rng)
            for weight, examples in self._train
            for example in sample_weighted(examples, weight, rng)
        ]

    def loss(self, model: nn.Module, examples: Sequence[Example], device: torch.device) -> Tensor:
        assert isinstance(model, Classifier)
        input_ids, lengths = pad_ids([example.input_ids for example in examples], self.pad_id)
        lengths = lengths.to(device)
        labels = torch.tensor([example.target_ids[0] for example in examples], device=device)
        embedded = model.embedding(input_ids.to(device))
        loss = self._cross_entropy(model.read(embedded, lengths), labels)
        if not self.config.training.adversarial:
            return loss
        perturbed = perturb(embedded, lengths, loss, self.config.training.adversarial)
        return (loss + self._cross_entropy(model.read(perturbed, lengths), labels)) / 2

    @torch.inference_mode()
    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        figures: dict[str, float] = {}
        for path, examples in self._valid.items():
            logits = classify_examples(model, examples, self.pad_id, device)
            figures[f"{path} accuracy"] = accuracy(
                logits.argmax(dim=-1).tolist(), [example.target_ids[0] for example in examples]
            ).value
        return {"score": sum(figures.values()) / len(figures), **figures}

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        smoothing = self.config.training.label_smoothing
        return cross_entropy(logits.float(), labels, label_smoothing=smoothing)


def read_examples(
    config: RunConfig,
    source: SourceConfig,
    data: Path,
    tokenizer: Tokenizer,
    split: str,
    limit: int | None = None,
) -> list[Example]:
    """Reads and encodes the labelled texts of one split.

    Raises:
        ValueError: a label is unknown.
    """
    rows = limit_rows(read_source(config, source, data, split), limit)
    return encode_examples(config, source, split, rows, tokenizer)


def encode_examples(
    config: RunConfig,
    source: SourceConfig,
    split: str,
    rows: Sequence[Row],
    tokenizer: Tokenizer,
) -> list[Example]:
    """Encodes labelled texts; texts without tokens are passed over.

    Raises:
        ValueError: a label is unknown.
    """
    labels = label_rows(config, source, split, rows)
    encoded = tokenizer.encode_batch([text for _, text in rows])
    return [Example(ids, [label]) for ids, label in zip(encoded, labels, strict=True) if ids]


def label_rows(
    config: RunConfig, source: SourceConfig, split: str, rows: Sequence[Row]
) -> list[int]:
    """Returns the index of each row's label among the configured labels.

    Raises:
        ValueError: a label is unknown.
    """
    try:
        return index_labels(rows, config.labels)
    except ValueError as exc:
        raise ValueError(f"{source.path}, {split}: {exc}") from exc


def classify_examples(
    model: nn.Module, examples: Sequence[Example], pad_id: int, device: torch.device
) -> Tensor:
    """Returns the logits (N, C) of the examples, in their order, on the CPU."""
    rows: list[Tensor] = [torch.empty(0)] * len(examples)
    for batch in bucket_batches([len(example) for example in examples], VALID_BATCH_TOKENS):
        input_ids, lengths = pad_ids([examples[index].input_ids for index in batch], pad_id)
        logits = model(input_ids.to(device), lengths.to(device)).float().cpu()
        for index, row in zip(batch, logits, strict=True):
            rows[index] = row
    return torch.stack(rows)


def crop(example: Example, min_tokens: int, max_tokens: int, rng: random.Random) -> Example:
    """Crops a text above `max_tokens` to a random window, which bounds the cost of long reviews."""
    if len(example.input_ids) <= max_tokens:
        return example
    shortest = math.log(min(min_tokens, max_tokens))
    size = round(math.exp(rng.uniform(shortest, math.log(max_tokens))))
    start = rng.randint(0, len(example.input_ids) - size)
    return Example(example.input_ids[start : start + size], example.target_ids)
