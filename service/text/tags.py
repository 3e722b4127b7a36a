"""What a sequence of labels says: entities by the BIO scheme, or where the words of a text end.

A label set is either BIO, "O" and "B-NAME" and "I-NAME" for each name (Ramshaw and Marcus 1995), or
plain names, of which "O" says nothing. With the plain label "SPACE", a white space belongs after
the token.
"""

from collections.abc import Iterable, Iterator, Sequence
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


def find_runs(labels: Sequence[str], outside: str | None = OUTSIDE) -> Iterator[Run]:
    """Yields the entities of a text's labels: runs of one name.

    A run ends where the name changes and where a "B-" begins the next one; one that begins with
    "I-" counts too, as in conlleval.

    Args:
        labels: of the tokens, in their order.
        outside: the name that is passed over; None yields the runs of all names.
    """
    start, current = 0, ""
    for place, label in enumerate(labels):
        begins, name = split_label(label)
        if name == current and begins != "B":
            continue
        if current and current != outside:
            yield Run(start, place, current)
        start, current = place, name
    if current and current != outside:
        yield Run(start, len(labels), current)


def find_words(labels: Sequence[str]) -> Iterator[Run]:
    """Yields the words of a text whose labels say where a white space belongs."""
    start = 0
    for place, label in enumerate(labels):
        if label == SPACE or place == len(labels) - 1:
            yield Run(start, place + 1, SPACE)
            start = place + 1


def render_spaces(text: str, ends: Iterable[int]) -> str:
    """Writes the text anew: its lines, with a space at these places and no other white space."""
    spaced = set(ends)
    lines, place = [], 0
    for line in text.splitlines(keepends=True):
        body = line.splitlines()[0]
        parts = []
        for offset, character in enumerate(body, place + 1):
            parts.append("" if character.isspace() else character)
            parts.append(" " if offset in spaced else "")
        lines.append("".join(parts).strip() + line[len(body) :])
        place += len(line)
    return "".join(lines)
