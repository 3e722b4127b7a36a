"""The tasks by name, as seen by the training loop: examples, loss, validation."""

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from models.config import RunConfig, SourceConfig
from models.networks.classifier import Classifier
from models.networks.language_model import LanguageModel
from models.networks.seq2seq import Seq2Seq
from models.networks.tagger import StreamTagger, Tagger, build_tagger
from models.training.data.held_out import HeldOut, read_training
from models.training.data.sources import (
    Example,
    Row,
    read_source,
    sample_weighted,
)
from models.training.data.texts import check_texts, count_features
from models.training.tasks.classification import ClassificationTask, label_rows
from models.training.tasks.language import LanguageTask
from models.training.tasks.tagging import TaggingTask, check_spans
from models.training.tasks.text2text import TextToTextTask
from models.training.tasks.translation import TranslationTask
from service.repository.manifest import PAIRED
from service.text.tokenizer import Tokenizer

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
