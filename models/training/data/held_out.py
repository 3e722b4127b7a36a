"""Keeps what models are measured with out of what they are trained on.

Held out are the everyday sentences and, in all tasks but classification, the test rows of all
sources of a configuration: a training row with one of these texts, however it is typed, is left
out. The test rows of classification sets do not count: common short reviews ("best!") recur in the
published splits, and accuracy on them is only comparable if the training split is used whole.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from models.config import RunConfig, SourceConfig
from models.training.data.sources import Row, read_source

EVERYDAY = Path(__file__).parents[2] / "everyday"
EVERYDAY_NAME = "models/everyday"
JUDGED = {"translation": slice(None), "text2text": slice(1)}
"""The columns of a row that are held out; of the tasks that are not here, all but the first.

Good answers recur: only what is answered is held out.
"""


class _Typing(dict[int, int | None]):
    """Table for `str.translate` that keeps letters, marks and digits, and drops the rest."""

    def __missing__(self, code: int) -> int | None:
        self[code] = code if unicodedata.category(chr(code))[0] in "LMN" else None
        return self[code]


_TYPING = _Typing()


@dataclass(frozen=True)
class Overlap:
    """How much of a training set is held out.

    Attributes:
        source: path of the training set.
        num_rows: rows before any are left out.
        num_left_out: rows that are left out.
        counts: left-out rows by the set that holds out one of their texts. A row that several sets
            hold out counts for each of them.
    """

    source: str
    num_rows: int
    num_left_out: int
    counts: Mapping[str, int]

    def __bool__(self) -> bool:
        return self.num_left_out > 0

    def __str__(self) -> str:
        sets = ", ".join(f"{count:,} in {name}" for name, count in self.counts.items())
        return f"{self.source}: {self.num_left_out:,} of {self.num_rows:,} training rows, {sets}"


def text_key(text: str) -> str:
    """Reduces a text to its letters and digits, so that texts that differ only in typing are equal.

    Compatibility forms, case, punctuation, symbols and white space make no difference.
    """
    return unicodedata.normalize("NFKC", text).casefold().translate(_TYPING)


def read_everyday(task: str) -> list[list[str]]:
    """Reads the columns of each everyday sentence; see models/everyday/README.md."""
    lines = (EVERYDAY / f"{task}.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines]


class HeldOut:
    """The texts that one or more configurations of a task hold out."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._sets: dict[str, set[str]] = {}
        self.missing: list[str] = []  # test sets that are not there
        self._add(EVERYDAY_NAME, (columns[2] for columns in read_everyday(task)))

    @classmethod
    def of(cls, config: RunConfig, data: Path) -> "HeldOut":
        held_out = cls(config.task)
        held_out.add_tests(config, data)
        return held_out

    def add_tests(self, config: RunConfig, data: Path) -> None:
        """Holds out the test rows of all sources, but of a classifier's."""
        for source in config.sources:
            if not source.test or self._task == "classification":
                continue
            name = f"{source.path} {source.test}"
            try:
                rows = read_source(config, source, data, "test")
            except FileNotFoundError:
                self.missing.append(name)
            else:
                self._add(name, (text for row in rows for text in self._texts(row)))

    def find_sets(self, row: Row) -> set[str]:
        """Returns the sets that hold out a side of the row."""
        return {name for text in self._texts(row) for name in self._sets.get(text_key(text), ())}

    def filter_rows(self, rows: Iterable[Row]) -> list[Row]:
        return [row for row in rows if not self.find_sets(row)]

    def measure_overlap(self, source: str, rows: Sequence[Row]) -> Overlap:
        found = [sets for row in rows if (sets := self.find_sets(row))]
        counts = Counter(name for sets in found for name in sorted(sets))
        return Overlap(source, len(rows), len(found), counts)

    def _texts(self, row: Row) -> Sequence[str]:
        """The columns of a row that no model may have seen: no labels, and no answers."""
        return row[JUDGED.get(self._task, slice(1, None))]

    def _add(self, name: str, texts: Iterable[str]) -> None:
        for text in texts:
            if key := text_key(text):
                self._sets.setdefault(key, set()).add(name)


def read_training(config: RunConfig, data: Path) -> Iterator[tuple[SourceConfig, list[Row]]]:
    """Reads the rows to train on, without held-out ones, of each source with a weight."""
    held_out = HeldOut.of(config, data)
    for source in config.sources:
        if source.weight:
            rows = read_source(config, source, data, "train")
            yield source, held_out.filter_rows(rows)
