"""The data of language models: texts as token ids, conditions as features.

Without a condition a source is one long text, `train.txt`. With one it is a table, `train.tsv`,
whose first column is a label, or numbers with spaces between.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.config import RunConfig, SourceConfig
from models.training.data.sources import Example, index_labels, limit_rows, read_source, read_text
from models.training.vocabulary.subwords import EOS
from models.training.vocabulary.text_subwords import BOS, UNK
from service.repository.manifest import Condition
from service.text.tokenizer import Tokenizer

Stream = NDArray[np.int64]

VALID_STREAMS, MIN_VALID_STREAM = 16, 256


def read_texts(
    config: RunConfig,
    source: SourceConfig,
    data: Path,
    tokenizer: Tokenizer,
    split: str,
    limit: int | None = None,
) -> list[Example]:
    """The texts of a split: one without an end, or many from bos to eos.

    Raises:
        ValueError: a condition is invalid, or a file cannot be read.
        FileNotFoundError: the file is missing.
    """
    eos_id, bos_id = tokenizer.token_id(EOS), tokenizer.token_id(BOS)
    if not config.condition:
        text = read_text(data / source.path, getattr(source, split))
        return [shift(tokenizer.encode(text), bos_id)]
    rows = limit_rows(read_rows(config, source, data, split), limit)
    encoded = tokenizer.encode_batch([text for _, text in rows])
    return [
        Example([bos_id, *ids], [*ids, eos_id], features)
        for ids, (features, text) in zip(encoded, rows, strict=True)
        if 0 < len(ids) < config.model.max_tokens and len(text) >= source.min_characters
    ]


def shift(token_ids: list[int], bos_id: int) -> Example:
    """Pairs each token with the one before it."""
    return Example([bos_id, *token_ids[:-1]], token_ids)


def cut_streams(tokens: Stream, max_streams: int, min_length: int, pad_id: int) -> Stream:
    """Cuts a text into contiguous streams (B, n) of equal length; the last one is filled up.

    Args:
        tokens: (N) int64.
        max_streams: B at most.
        min_length: a text that is too short for streams of this length gives fewer of them.
        pad_id: fills up.
    """
    num_streams = max(1, min(max_streams, len(tokens) // min_length))
    length = math.ceil(len(tokens) / num_streams)
    streams = np.full(math.ceil(len(tokens) / length) * length, pad_id)
    streams[: len(tokens)] = tokens
    return streams.reshape(-1, length)


def cut_valid(text: Example, bos_id: int, pad_id: int) -> list[Example]:
    """Cuts a text that is measured into streams that are read side by side."""
    tokens = np.array(text.target_ids)
    streams = cut_streams(tokens, VALID_STREAMS, MIN_VALID_STREAM, pad_id)
    return [shift(stream.tolist(), bos_id) for stream in streams]


def count_features(config: RunConfig) -> int:
    """Features of the condition; 0 without one."""
    return config.condition.size if config.condition else 0


def count_characters(texts: Sequence[Example], tokenizer: Tokenizer) -> int:
    """Characters of the targets; the end of a text counts as one, an unknown character as none."""
    token_ids = [token_id for text in texts for token_id in text.target_ids]
    lengths = {EOS: 1, UNK: 0}
    return sum(lengths.get(token, len(token)) for token in tokenizer.tokens(token_ids))


def encode_conditions(cells: Sequence[str], condition: Condition) -> list[tuple[float, ...]]:
    """Features of each row, from its first column: a label, or numbers with spaces between.

    Raises:
        ValueError: a label is unknown, or a row has not as many numbers as the condition.
    """
    if condition.labels:
        rows = [(cell, "") for cell in cells]
        return [
            condition.encode(condition.labels[index])
            for index in index_labels(rows, condition.labels)
        ]
    features = [tuple(map(float, cell.split())) for cell in cells]
    for row in features:
        if len(row) != condition.size:
            raise ValueError(f"a row has {len(row)} features, the condition {condition.size}")
    return features


def check_texts(config: RunConfig, data: Path) -> None:
    """Reads all data of a run beforehand.

    Raises:
        ValueError: a file cannot be read, or a condition is invalid.
        FileNotFoundError: a configured file is missing.
    """
    for source in config.sources:
        for split, is_read in (("train", source.weight), ("valid", source.has_valid)):
            if is_read and config.condition:
                read_rows(config, source, data, split)
            elif is_read:
                read_text(data / source.path, getattr(source, split))


def read_rows(
    config: RunConfig, source: SourceConfig, data: Path, split: str
) -> list[tuple[tuple[float, ...], str]]:
    """Reads the texts of a split, each with the features of its condition.

    Raises:
        ValueError: a condition is invalid.
    """
    assert config.condition
    rows = read_source(config, source, data, split)
    try:
        features = encode_conditions([first for first, _ in rows], config.condition)
    except ValueError as exc:
        raise ValueError(f"{source.path}, {split}: {exc}") from exc
    return list(zip(features, (text for _, text in rows), strict=True))


def training_texts(config: RunConfig, data: Path) -> Iterator[str]:
    """Yields the texts to learn the vocabulary from."""
    for source in config.sources:
        if source.weight and config.condition:
            yield from (text for _, text in read_source(config, source, data, "train"))
        elif source.weight:
            yield read_text(data / source.path, source.train)
