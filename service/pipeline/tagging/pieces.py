"""The tokens of a text with what a tagger says of them, and the text that they give."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from service.arrays import FloatArray
from service.repository.model import Model
from service.text.tags import SPACE, render_spaces


@dataclass(frozen=True)
class Piece:
    """A token, or a word, of a text.

    Attributes:
        scores: (C) probabilities of the labels; of a word, as the aggregation defines them.
    """

    start: int
    end: int
    scores: FloatArray


def locate_tokens(model: Model, text: str) -> list[tuple[int, int]]:
    """Where each token is in the text.

    The tokenizer gives a syllable of several code points (NFD) the first of them alone.
    """
    spans = model.tokenizer.spans(text)
    located = []
    for (start, end), (limit, _) in pairwise([*spans, (len(text), len(text))]):
        while start < end < limit and not text[end].isspace():
            end += 1
        located.append((start, end))
    return located


def make_pieces(model: Model, spans: Sequence[tuple[int, int]], scores: FloatArray) -> list[Piece]:
    """The tokens (T) with their label scores (T, C); white space alone is not a token."""
    return [
        Piece(start, end, row)
        for (start, end), row in zip(spans, model.probabilities(scores), strict=True)
        if start < end
    ]


def render_text(text: str, pieces: Sequence[Piece], labels: Sequence[str]) -> str:
    """The text with white space where the labels say."""
    space = labels.index(SPACE)
    return render_spaces(text, (piece.end for piece in pieces if piece.scores.argmax() == space))
