"""The tasks as seen by training: examples, loss, validation.

The training loop is in `trainer`.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from models.config import RunConfig, SourceConfig
from models.networks.classifier import Classifier
from models.networks.language_model import LanguageModel
from models.networks.seq2seq import Seq2Seq, translate_greedily
from models.training.adversarial import perturb
from models.training.data import (
    Example,
    Pair,
    Row,
    add_typing_noise,
    batch_examples,
    bucket_batches,
    index_labels,
    limit_rows,
    pad_ids,
    read_source,
    sample_weighted,
)
from models.training.held_out import HeldOut, read_training
from models.training.language import LanguageTask
from models.training.masking import mask_pair
from models.training.metrics import accuracy, translation_figures
from models.training.start_tokens import SpeechLevels
from models.training.texts import check_texts, count_features
from models.training.vocabulary import EOS, PAD, drop_merges, start_token
from service.text.tokenizer import Tokenizer

VALID_BATCH_TOKENS = 8192

Network = Classifier | Seq2Seq | LanguageModel


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
    tasks: dict[str, Callable[[RunConfig, Tokenizer, Path], Task]] = {
        "classification": ClassificationTask,
        "translation": TranslationTask,
        "language": LanguageTask,
    }
    return tasks[config.task](config, tokenizer, data)


def training_texts(config: RunConfig, data: Path) -> Iterator[str]:
    """Yields the texts to learn the vocabulary from, each source at its weight."""
    rng = random.Random(config.training.seed)
    for source, rows in read_training(config, data):
        for first, second in sample_weighted(rows, source.weight, rng):
            yield second
            if config.task == "translation":
                yield first


def build_model(config: RunConfig) -> Network:
    """Builds the untrained network of a configuration."""
    networks: dict[str, Callable[[], Network]] = {
        "classification": lambda: Classifier(config.model, len(config.labels)),
        "translation": lambda: Seq2Seq(config.model),
        "language": lambda: LanguageModel(config.model, count_features(config)),
    }
    return networks[config.task]()


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
        _check_data(self._train, self._valid)

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


class TranslationTask:
    """Translation in both directions of a pair; the start token selects the target language."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, data: Path) -> None:
        self.config, self.tokenizer = config, tokenizer
        self.pad_id, self.eos_id = tokenizer.token_id(PAD), tokenizer.token_id(EOS)
        self.start_ids = [
            tokenizer.token_id(start_token(language)) for language in config.languages
        ]
        self.levels = SpeechLevels(config, tokenizer)
        rate = config.training.bpe_dropout
        self._train_tokenizer = drop_merges(tokenizer, rate) if rate else tokenizer
        self._train = [
            (source.weight, self._direct(rows)) for source, rows in read_training(config, data)
        ]
        self._valid = {
            source.path: limit_rows(
                read_source(config, source, data, "valid"), config.training.valid_limit
            )
            for source in config.sources
            if source.has_valid
        }
        _check_data(self._train, self._valid)

    def build_model(self) -> nn.Module:
        return build_model(self.config)

    def sample_batches(self, rng: random.Random) -> list[list[Example]]:
        return batch_examples(self.sample_epoch(rng), self.config.training.batch_tokens, rng)

    def sample_epoch(self, rng: random.Random) -> list[Example]:
        training = self.config.training
        pairs = [
            mask(pair, rng) if training.masked and rng.random() < training.masked else pair
            for weight, pairs in self._train
            for pair in sample_weighted(pairs, weight, rng)
        ]
        pairs, start_ids = self.levels.choose(pairs, rng)
        noise = training.typing_noise
        sources = self._train_tokenizer.encode_batch(
            [
                add_typing_noise(pair.source, rng)
                if noise and rng.random() < noise
                else pair.source
                for pair in pairs
            ]
        )
        targets = self._train_tokenizer.encode_batch([pair.target for pair in pairs])
        limit = self.config.model.max_tokens - 1  # eos
        return [
            Example(
                [*source[:limit], self.levels.end_id(start_id, self.eos_id)],
                [start_id, *target[:limit]],
            )
            for start_id, source, target in zip(start_ids, sources, targets, strict=True)
        ]

    def loss(self, model: nn.Module, examples: Sequence[Example], device: torch.device) -> Tensor:
        input_ids, lengths = pad_ids([example.input_ids for example in examples], self.pad_id)
        inputs, _ = pad_ids([example.target_ids for example in examples], self.pad_id)
        outputs, _ = pad_ids(
            [[*example.target_ids[1:], self.eos_id] for example in examples], self.pad_id
        )
        logits = model(input_ids.to(device), lengths.to(device), inputs.to(device))
        return cross_entropy(
            logits.float().flatten(0, 1),
            outputs.to(device).flatten(),
            ignore_index=self.pad_id,
            label_smoothing=self.config.training.label_smoothing,
        )

    def validate(self, model: nn.Module, device: torch.device) -> dict[str, float]:
        figures: dict[str, float] = {}
        for path, rows in self._valid.items():
            for side, (source, target) in enumerate(self.config.pairs):
                translations = self._translate(model, [row[side] for row in rows], 1 - side, device)
                for figure in translation_figures(
                    translations, [row[1 - side] for row in rows], target
                ):
                    figures[f"{path} {source}-{target} {figure.metric}"] = figure.value
        chrfs = [value for name, value in figures.items() if name.endswith("chrf")]
        return {"score": sum(chrfs) / len(chrfs), **figures}

    def _direct(self, rows: Sequence[Row]) -> list[Pair]:
        """Pairs both directions of the rows that are neither empty nor too long."""
        texts = [[row[side] for row in rows] for side in (0, 1)]
        lengths = [[len(ids) for ids in self.tokenizer.encode_batch(side)] for side in texts]
        limit = self.config.model.max_tokens - 1  # eos
        return [
            Pair(row[side], row[1 - side], 1 - side)
            for row, *sizes in zip(rows, *lengths, strict=True)
            for side in (0, 1)
            if min(sizes) > 0 and max(sizes) <= limit
        ]

    def _translate(
        self, model: nn.Module, texts: list[str], target: int, device: torch.device
    ) -> list[str]:
        assert isinstance(model, Seq2Seq)
        encoded = [[*ids, self.eos_id] for ids in self.tokenizer.encode_batch(texts)]
        start_id = self.start_ids[target]
        rows = translate_sources([model], encoded, start_id, self.eos_id, self.pad_id, device)
        return [self.tokenizer.decode(row) for row in rows]


def mask(pair: Pair, rng: random.Random) -> Pair:
    return Pair(*mask_pair(pair.source, pair.target, rng), pair.side)


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
                if config.task == "classification":
                    label_rows(config, source, split, rows)
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


def translate_sources(
    models: Sequence[Seq2Seq],
    sources: Sequence[Sequence[int]],
    start_id: int,
    eos_id: int,
    pad_id: int,
    device: torch.device,
    progress: str = "",
) -> list[list[int]]:
    """Translates sources, which end with eos, in their order; see `translate_greedily`.

    Shows a progress bar if `progress` names it.
    """
    rows: list[list[int]] = [[]] * len(sources)
    batches = bucket_batches([len(ids) for ids in sources], VALID_BATCH_TOKENS // 2)
    for batch in tqdm(batches, desc=progress, unit="batch", mininterval=1.0, disable=not progress):
        input_ids, lengths = pad_ids([sources[index] for index in batch], pad_id)
        max_new_tokens = 10 + int(1.5 * input_ids.shape[1])
        translated = translate_greedily(
            models, input_ids.to(device), lengths.to(device), start_id, eos_id, max_new_tokens
        )
        for index, row in zip(batch, translated, strict=True):
            rows[index] = row
    return rows


def crop(example: Example, min_tokens: int, max_tokens: int, rng: random.Random) -> Example:
    """Crops a text above `max_tokens` to a random window, which bounds the cost of long reviews."""
    if len(example.input_ids) <= max_tokens:
        return example
    shortest = math.log(min(min_tokens, max_tokens))
    size = round(math.exp(rng.uniform(shortest, math.log(max_tokens))))
    start = rng.randint(0, len(example.input_ids) - size)
    return Example(example.input_ids[start : start + size], example.target_ids)


def _check_data(
    train: Sequence[tuple[float, Sequence[object]]], valid: Mapping[str, Sequence[Example | Row]]
) -> None:
    # checked before the first epoch rather than after it
    if not any(round(weight * len(examples)) for weight, examples in train):
        raise ValueError("no source with a weight above 0 has usable training rows")
    if not valid:
        raise ValueError(
            "no source has a validation split, which is needed to select the best weights"
        )
    empty = [path for path, rows in valid.items() if not rows]
    if empty:
        raise ValueError(f"the validation split of {', '.join(empty)} has no usable rows")
