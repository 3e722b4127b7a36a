"""The tasks as seen by training: examples, loss, validation.

The training loop is in `trainer`.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from models.config import RunConfig, SourceConfig
from models.networks.classifier import Classifier
from models.networks.language_model import LanguageModel
from models.networks.seq2seq import Seq2Seq
from models.networks.tagger import StreamTagger, Tagger, build_tagger
from models.training.adversarial import perturb
from models.training.data import (
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
from models.training.held_out import HeldOut, read_training
from models.training.language import LanguageTask
from models.training.metrics import accuracy
from models.training.tagging import TaggingTask, check_spans
from models.training.text2text import TextToTextTask
from models.training.texts import check_texts, count_features
from models.training.translation import TranslationTask
from models.training.vocabulary import PAD
from service.repository.manifest import PAIRED
from service.text.tokenizer import Tokenizer

VALID_BATCH_TOKENS = 8192

Network = Classifier | Seq2Seq | LanguageModel | Tagger | StreamTagger
NETWORKS: dict[str, Callable[[RunConfig], Network]] = {
    "classification": lambda config: Classifier(config.model, len(config.labels)),
    "translation": lambda config: Seq2Seq(config.model),
    "text2text": lambda config: Seq2Seq(config.model),
    "language": lambda config: LanguageModel(config.model, count_features(config)),
    "tagging": lambda config: build_tagger(config.model, len(config.labels)),
}
"""The network of each task."""


class Task(Protocol):
    """Task with its data in memory."""

    def build_model(self) -> nn.Module: ...

    def sample_batches(self, rng: random.Random) -> list[list[Example]]:
        """Draws the batches of one epoch, in the order of training."""
        ...

    def loss(
        self, model: nn.Module, examples: Sequence[Example], device: torch.device
    ) -> Tensor: ...

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        """Measures the validation split; "score", higher is better, selects the checkpoint."""
        ...


def build_task(config: RunConfig, tokenizer: Tokenizer, data: Path) -> Task:
    """Builds the configured task with its data read and encoded.

    Raises:
        ValueError: there is no usable training or validation data, or a label is unknown.
        FileNotFoundError: a configured file is missing.
    """
    return TASKS[config.task](config, tokenizer, data)


def training_texts(config: RunConfig, data: Path) -> Iterator[str]:
    """Yields the texts to learn the vocabulary from, each source at its weight."""
    rng = random.Random(config.training.seed)
    for source, rows in read_training(config, data):
        for first, second in sample_weighted(rows, source.weight, rng):
            yield second
            if config.task in PAIRED:
                yield first


def build_model(config: RunConfig) -> Network:
    """Builds the untrained network of a configuration."""
    return NETWORKS[config.task](config)


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
        return build_model(self.config)

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


def check_sources(config: RunConfig, data: Path) -> None:
    """Reads all data of a run beforehand, to find faults before hours of training.

    Prints how many training rows are left out because they are held out.

    Raises:
        ValueError: a file cannot be read, or a label is unknown.
        FileNotFoundError: a configured file is missing.
    """
    if config.task == "language":
        check_texts(config, data)
        return
    held_out = HeldOut.of(config, data)
    for name in held_out.missing:
        print(f"{name}: no such test rows; training rows are not compared with them")
    for source in config.sources:
        for split, is_read in (("train", source.weight), ("valid", source.has_valid)):
            if is_read:
                rows = read_source(config, source, data, split)
                if config.task in CHECKS:
                    CHECKS[config.task](config, source, split, rows)
                if split == "train" and (overlap := held_out.measure_overlap(source.path, rows)):
                    print(f"left out of {overlap}")


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


TASKS: dict[str, Callable[[RunConfig, Tokenizer, Path], Task]] = {
    "classification": ClassificationTask,
    "translation": TranslationTask,
    "text2text": TextToTextTask,
    "language": LanguageTask,
    "tagging": TaggingTask,
}
CHECKS: dict[str, Callable[[RunConfig, SourceConfig, str, Sequence[Row]], object]] = {
    "classification": label_rows,
    "tagging": check_spans,
}
"""What finds faults in the rows of a split, beyond their columns."""
