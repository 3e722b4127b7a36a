"""Stretches of a text, which may overlap. Pure functions."""

from collections.abc import Iterable
from typing import Protocol


class Stretch(Protocol):
    """What stands at `text[start:end]`."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


def is_free(found: Stretch, others: Iterable[Stretch]) -> bool:
    """Whether a stretch of a sentence overlaps none of the others."""
    return all(found.end <= each.start or each.end <= found.start for each in others)
