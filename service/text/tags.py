"""What a sequence of labels says: entities by the BIO scheme, or where the words of a text end.

A label set is either BIO, "O" and "B-NAME" and "I-NAME" for each name (Ramshaw and Marcus 1995), or
plain names, of which "O" says nothing. With the plain label "SPACE", a white space belongs after the
token.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

OUTSIDE, SPACE = "O", "SPACE"


class Run(NamedTuple):
    """Tokens that belong together: a half-open range of them, and the name that they share."""

    start: int
    end: int
    name: str


def split_label(label: str) -> tuple[str, str]:
    """Splits "B-DATE" into ("B", "DATE"); a plain label is inside its name."""
    if label[:2] in ("B-", "I-"):
        return label[0], label[2:]
    return "I", label


def find_runs(labels: Sequence[str]) -> Iterator[Run]:
    """Yields the entities of a text's labels: runs of one name, "O" passed over.

    A run ends where the name changes and where a "B-" begins the next one; one that begins with
    "I-" counts too, as in conlleval.
    """
    start, current = 0, OUTSIDE
    for place, label in enumerate([*labels, OUTSIDE]):
        begins, name = split_label(label)
        if name == current and begins != "B":
            continue
        if current != OUTSIDE:
            yield Run(start, place, current)
        start, current = place, name


def find_words(labels: Sequence[str]) -> Iterator[Run]:
    """Yields the words of a text whose labels say where a white space belongs."""
    start = 0
    for place, label in enumerate(labels):
        if label == SPACE or place == len(labels) - 1:
            yield Run(start, place + 1, SPACE)
            start = place + 1


def render_spaces(text: str, ends: Sequence[int]) -> str:
    """Writes the text anew, with a space after each of these places and no other white space."""
    parts, start = [], 0
    for end in ends:
        parts.append("".join(text[start:end].split()))
        start = end
    return " ".join(part for part in [*parts, "".join(text[start:].split())] if part)
