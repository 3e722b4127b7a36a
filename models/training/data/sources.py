"""Reads data sets, and groups examples of similar length into batches.

A source is a folder with a file per split: `train.tsv[.gz]` with `label TAB text`,
`spans TAB text` or `first TAB second`, or, for translation, parallel files `train.en[.gz]` and
`train.de[.gz]`, or, for a language model, a text `train.txt[.gz]`. A label is a name, or its index
in the configuration, counted from 0.
"""

import gzip
import random
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from models.config import RunConfig, SourceConfig

Item = TypeVar("Item")
Row = tuple[str, str]
"""Classification: (label as written in the file, text). Tagging: (spans, text), see
`labelled_spans`. Translation: (first, second language)."""


@dataclass(frozen=True)
class Example:
    """One training example in token ids.

    Attributes:
        input_ids: the source with eos (translation), or the text.
        target_ids: the target with its start token, without eos (translation), [label]
            (classification), the label of each token (tagging), or the next token of each input
            token (language).
        features: the condition of a text (language).
    """

    input_ids: list[int]
    target_ids: list[int]
    features: tuple[float, ...] = ()

    def __len__(self) -> int:
        return max(len(self.input_ids), len(self.target_ids))


def write_split(folder: Path, stem: str, rows: Iterable[tuple[object, str]]) -> None:
    """Writes the rows of one split as TSV; the folder is made if it is not there.

    Raises:
        OSError: the file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{first}\t{second}\n" for first, second in rows)
    (folder / f"{stem}.tsv").write_text(text, encoding="utf-8")


def read_split(folder: Path, stem: str, languages: Sequence[str]) -> list[Row]:
    """Reads the rows of one split, in file order.

    Raises:
        FileNotFoundError: there is neither a TSV file nor parallel files.
        ValueError: a line does not have exactly one TAB, parallel files differ in length, or a file
            is not UTF-8 or not a complete gzip file.
    """
    table = _find(folder, f"{stem}.tsv")
    if table is not None:
        return [
            _split_line(table, number, line) for number, line in enumerate(_lines(table), 1) if line
        ]
    sides = [_find(folder, f"{stem}.{language}") for language in languages]
    if len(sides) == 2 and sides[0] is not None and sides[1] is not None:
        return _zip_lines(sides[0], sides[1])
    raise FileNotFoundError(f"{folder} holds neither {stem}.tsv[.gz] nor {stem}.<language>[.gz]")


def read_text(folder: Path, stem: str) -> str:
    """Reads the text of one split, `<stem>.txt[.gz]`, every character of it.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is empty, not UTF-8, or not a complete gzip file.
    """
    path = _find(folder, f"{stem}.txt")
    if path is None:
        raise FileNotFoundError(f"{folder} does not hold {stem}.txt[.gz]")
    text = "".join(_read(path))
    if not text:
        raise ValueError(f"{path} is empty")
    return text


class Pair(NamedTuple):
    """A sentence, its translation, and the index of the translation's language."""

    source: str
    target: str
    side: int


def read_source(config: RunConfig, source: SourceConfig, data: Path, split: str) -> list[Row]:
    """Reads one split ("train", "valid" or "test") of a source and cleans it by its style."""
    if source.holdout and split != "test":
        rows = read_split(data / source.path, source.train, config.languages)
        rows = split_rows(rows, source.holdout)[split == "valid"]
    else:
        rows = read_split(data / source.path, getattr(source, split), config.languages)
    if source.style == "ptb":
        return [(first, join_ptb(second)) for first, second in rows]
    return rows


def split_rows(rows: Sequence[Row], num_held_out: int) -> tuple[list[Row], list[Row]]:
    """Splits rows into those to train on and those held out, the same at every call."""
    order = random.Random(len(rows)).sample(range(len(rows)), len(rows))
    held_out = set(order[:num_held_out])
    kept = [row for index, row in enumerate(rows) if index not in held_out]
    return kept, [rows[index] for index in order[:num_held_out]]


def add_typing_noise(text: str, rng: random.Random) -> str:
    """Imitates hurried typing: changes the case and drops the full stop at random."""
    way = rng.random()
    if way < 0.15:
        return text.upper()
    if way < 0.7:
        text = text.lower()
    return text.rstrip(" .!?") or text if way > 0.4 else text


def index_labels(rows: Sequence[Row], labels: Sequence[str]) -> list[int]:
    """Returns the index of each row's label.

    Raises:
        ValueError: a label is unknown.
    """
    places = {label: place for place, label in enumerate(labels)}
    numbers = {str(place): place for place in range(len(labels))}
    if places.keys().isdisjoint(numbers):  # otherwise "1" would be ambiguous
        places |= numbers
    unknown_labels = sorted({label for label, _ in rows} - places.keys())
    if unknown_labels:
        raise ValueError(
            f"the first column must be one of {', '.join(places)}, not {unknown_labels[0][:20]!r}"
        )
    return [places[label] for label, _ in rows]


_PTB_RULES = [
    (re.compile(r" (n't|'s|'re|'ve|'ll|'d|'m)\b"), r"\1"),
    (re.compile(r" ([.,!?;:%)\]}]|\.\.\.)"), r"\1"),
    (re.compile(r"([(\[{$]) "), r"\1"),
    (re.compile(r"\s*``\s*"), ' "'),
    (re.compile(r"\s*''"), '"'),
    (re.compile(r"\s{2,}"), " "),
]


def join_ptb(text: str) -> str:
    """Undoes Penn-Treebank tokenization, so that training text looks like typed text."""
    text = (
        text.replace("-lrb-", "(").replace("-rrb-", ")").replace("lrb ", "(").replace(" rrb", ")")
    )
    for pattern, replacement in _PTB_RULES:
        text = pattern.sub(replacement, text)
    return text.strip()


def limit_rows(rows: Sequence[Item], limit: int | None) -> list[Item]:
    """Draws at most `limit` rows at random and keeps their order; the same rows at every call."""
    if limit is None or len(rows) <= limit:
        return list(rows)
    kept = random.Random(len(rows)).sample(range(len(rows)), limit)
    return [rows[index] for index in sorted(kept)]


def sample_weighted(items: Sequence[Item], weight: float, rng: random.Random) -> list[Item]:
    """Samples items: weight 0.3 draws 30 % of them; 2.5 takes each twice and half of them again."""
    whole, part = divmod(weight, 1.0)
    return list(items) * int(whole) + rng.sample(list(items), round(part * len(items)))


def bucket_batches(
    lengths: Sequence[int], batch_tokens: int, rng: random.Random | None = None
) -> list[list[int]]:
    """Groups indices of similar length into batches of at most `batch_tokens` padded tokens.

    An item longer than that forms a batch alone. With `rng` the order of batches is shuffled, and
    items of equal length get different neighbours each time; without it, batches are sorted.
    """
    order = list(range(len(lengths)))
    if rng is not None:
        rng.shuffle(order)
    order.sort(key=lambda index: lengths[index])  # stable: shuffled within a length
    batches: list[list[int]] = []
    for index in order:
        if batches and (len(batches[-1]) + 1) * lengths[index] <= batch_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
    if rng is not None:
        rng.shuffle(batches)
    return batches


def batch_examples(
    examples: Sequence[Example], batch_tokens: int, rng: random.Random | None = None
) -> list[list[Example]]:
    """Groups examples into batches; see `bucket_batches`."""
    batches = bucket_batches([len(example) for example in examples], batch_tokens, rng)
    return [[examples[index] for index in batch] for batch in batches]


def pad_ids(rows: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Pads rows of ids: ids (B, T) int64 filled up with pad_id, and lengths (B) int64."""
    lengths = [len(row) for row in rows]
    ids = np.full((len(rows), max(lengths)), pad_id, dtype=np.int64)
    for row, padded in zip(rows, ids, strict=True):
        padded[: len(row)] = row
    return torch.from_numpy(ids), torch.tensor(lengths)


def check_splits(
    train: Sequence[tuple[float, Sequence[object]]], valid: Mapping[str, Sequence[object]]
) -> None:
    """Checks a run's data before its first epoch rather than after it.

    Raises:
        ValueError: there is nothing to train on, or a validation split is missing or empty.
    """
    if not any(round(weight * len(examples)) for weight, examples in train):
        raise ValueError("no source with a weight above 0 has usable training rows")
    if not valid:
        raise ValueError(
            "no source has a validation split, which is needed to select the best weights"
        )
    empty = [path for path, rows in valid.items() if not rows]
    if empty:
        raise ValueError(f"the validation split of {', '.join(empty)} has no usable rows")


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _lines(path: Path) -> Iterator[str]:
    return (line.rstrip("\r\n") for line in _read(path))


def _read(path: Path) -> Iterator[str]:
    """Yields the lines of a file with their ends."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", newline="\n") as lines:
        try:
            yield from lines
        except UnicodeDecodeError as exc:
            raise ValueError(f"{path} is not UTF-8: {exc.reason}") from exc
        except (EOFError, gzip.BadGzipFile, zlib.error) as exc:
            raise ValueError(f"{path} is not a complete gzip file: {exc}") from exc


def _zip_lines(first: Path, second: Path) -> list[Row]:
    left, right = list(_lines(first)), list(_lines(second))
    if len(left) != len(right):
        raise ValueError(f"{first} has {len(left)} lines, {second} {len(right)}")
    return list(zip(left, right, strict=True))


def _split_line(path: Path, number: int, line: str) -> Row:
    columns = line.split("\t")
    if len(columns) != 2:
        raise ValueError(
            f"{path}, line {number}: expected two columns with a TAB between, found {len(columns)}"
        )
    return columns[0], columns[1]
