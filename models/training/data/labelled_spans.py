"""Texts whose spans are labelled, in characters: what taggers are trained on.

A row is `spans TAB text`; spans are `start:end:NAME`, separated by spaces, and may be none. The
half-open range counts characters of the text.
"""

from collections.abc import Sequence
from typing import NamedTuple

from service.text.tags import OUTSIDE, split_label


class Span(NamedTuple):
    """A labelled part of a text, in characters."""

    start: int
    end: int
    name: str

    def __str__(self) -> str:
        return f"{self.start}:{self.end}:{self.name}"


def parse_spans(column: str, text: str) -> list[Span]:
    """Reads the first column of a row.

    Raises:
        ValueError: a span is malformed or outside the text, or overlaps the one before.
    """
    spans: list[Span] = []
    for part in column.split():
        try:
            start, end, name = part.split(":", 2)
            span = Span(int(start), int(end), name)
        except ValueError as exc:
            raise ValueError(f"spans are start:end:NAME, not {part[:40]!r}") from exc
        earliest = spans[-1].end if spans else 0
        if not earliest <= span.start < span.end <= len(text):
            raise ValueError(
                f"span {part[:40]} is outside the text of {len(text)} characters, empty, or "
                "overlaps the one before"
            )
        spans.append(span)
    return spans


def label_tokens(
    spans: Sequence[Span], tokens: Sequence[tuple[int, int]], labels: Sequence[str]
) -> list[int]:
    """Returns the label of each token, as a place among `labels`.

    A token belongs to the span that its first character is in. The first token of a span is "B-",
    the others "I-" where the label set has them; "O" is the label of all others.

    Args:
        spans: in the order of the text.
        tokens: (start, end) of each token.
        labels: the label set.

    Raises:
        ValueError: the label set lacks a name.
    """
    places = {label: place for place, label in enumerate(labels)}
    known = {split_label(label)[1] for label in labels}
    unknown = sorted({span.name for span in spans} - known)
    if unknown or OUTSIDE not in places:
        raise ValueError(
            f"the labels are {', '.join(labels)}; {(unknown or [OUTSIDE])[0][:20]!r} is not one"
        )
    found = [places[OUTSIDE]] * len(tokens)
    at = 0
    for span in spans:
        begins = True
        while at < len(tokens) and tokens[at][0] < span.end:
            if tokens[at][0] >= span.start:
                scheme = "B-" if begins else "I-"
                found[at] = places.get(scheme + span.name, places.get(span.name, 0))
                begins = False
            at += 1
    return found
