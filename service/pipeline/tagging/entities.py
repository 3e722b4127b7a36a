"""From label scores of tokens to entities, by the rules of transformers' pipeline.

See https://huggingface.co/docs/transformers/main_classes/pipelines, `aggregation_strategy`.
"""

from collections.abc import Callable, Sequence

import numpy as np

from service.answers import Aggregation, Entity
from service.arrays import FloatArray
from service.pipeline.tagging.pieces import Piece
from service.text.tags import find_runs


def find_entities(
    text: str,
    pieces: Sequence[Piece],
    labels: Sequence[str],
    aggregation: Aggregation,
    ignored: frozenset[str],
) -> list[Entity]:
    """The entities of a text, in its order."""
    if aggregation == "none":
        entities = label_pieces(text, pieces, labels)
    else:
        words = WORD_SCORES.get(aggregation)
        entities = group_pieces(text, join_words(text, pieces, words) if words else pieces, labels)
    return [entity for entity in entities if entity.label not in ignored]


def label_pieces(text: str, pieces: Sequence[Piece], labels: Sequence[str]) -> list[Entity]:
    """An entity for each token."""
    return [
        Entity(
            labels[int(piece.scores.argmax())],
            float(piece.scores.max()),
            text[piece.start : piece.end],
            piece.start,
            piece.end,
            index,
        )
        for index, piece in enumerate(pieces)
    ]


def group_pieces(text: str, pieces: Sequence[Piece], labels: Sequence[str]) -> list[Entity]:
    """Joins neighbours of one name, but where a "B-" begins the next one; the score is the mean."""
    best = [labels[int(piece.scores.argmax())] for piece in pieces]
    entities = []
    for run in find_runs(best, outside=None):
        joined = pieces[run.start : run.end]
        start, end = joined[0].start, joined[-1].end
        score = float(np.mean([piece.scores.max() for piece in joined]))
        entities.append(Entity(run.name, score, text[start:end], start, end))
    return entities


def join_words(
    text: str, pieces: Sequence[Piece], choose: Callable[[FloatArray], FloatArray]
) -> list[Piece]:
    """Joins the tokens of each word, which white space ends, with scores that the choice gives."""
    words: list[list[Piece]] = []
    for piece in pieces:
        if words and not any(map(str.isspace, text[piece.start - 1 : piece.start + 1])):
            words[-1].append(piece)
        else:
            words.append([piece])
    return [
        Piece(word[0].start, word[-1].end, choose(np.stack([piece.scores for piece in word])))
        for word in words
    ]


def take_most_certain(scores: FloatArray) -> FloatArray:
    """(T, C) -> (C), of the token with the highest score."""
    found: FloatArray = scores[int(scores.max(axis=-1).argmax())]
    return found


def take_mean(scores: FloatArray) -> FloatArray:
    """(T, C) -> (C)."""
    mean: FloatArray = scores.mean(axis=0)
    return mean


def take_first(scores: FloatArray) -> FloatArray:
    """(T, C) -> (C)."""
    first: FloatArray = scores[0]
    return first


WORD_SCORES: dict[Aggregation, Callable[[FloatArray], FloatArray]] = {
    "first": take_first,
    "average": take_mean,
    "max": take_most_certain,
}
