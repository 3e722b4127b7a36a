"""What transformers' TokenClassificationPipeline gives for the same scores ."""

import numpy as np
import pytest

from service.answers import Aggregation
from service.pipeline.tagging.entities import find_entities
from service.pipeline.tagging.pieces import Piece

LABELS = ("O", "B-PER", "I-PER", "B-ORG")
NONE: frozenset[str] = frozenset()
OUTSIDE = frozenset({"O"})
TEXT = "Ann Smith, Acme"


def piece(start: int, end: int, *scores: float) -> Piece:
    return Piece(start, end, np.array(scores, np.float32))


# "Ann" in two tokens, "Smith", a comma that belongs to its word, "Acme"
PIECES = [
    piece(0, 2, 0.1, 0.7, 0.1, 0.1),
    piece(2, 3, 0.5, 0.0, 0.4, 0.1),
    piece(4, 9, 0.1, 0.1, 0.8, 0.0),
    piece(9, 10, 0.9, 0.0, 0.1, 0.0),
    piece(11, 15, 0.2, 0.0, 0.0, 0.8),
]


def describe(aggregation: Aggregation, ignored: frozenset[str] = OUTSIDE) -> list[tuple[str, str]]:
    found = find_entities(TEXT, PIECES, LABELS, aggregation, ignored)
    return [(entity.label, entity.word) for entity in found]


def test_none_gives_each_token() -> None:
    found = find_entities(TEXT, PIECES, LABELS, "none", OUTSIDE)
    assert [(e.label, e.word, e.index) for e in found] == [
        ("B-PER", "An", 0),
        ("I-PER", "Smith", 2),
        ("B-ORG", "Acme", 4),
    ]
    assert found[1].score == pytest.approx(0.8)
    assert len(find_entities(TEXT, PIECES, LABELS, "none", NONE)) == len(PIECES)


def test_simple_groups_tokens_and_drops_the_scheme() -> None:
    assert describe("simple") == [("PER", "An"), ("PER", "Smith"), ("ORG", "Acme")]
    assert describe("simple", NONE)[1] == ("O", "n")


@pytest.mark.parametrize(
    ("aggregation", "score"),
    [("first", (0.7 + 0.8) / 2), ("max", (0.7 + 0.9) / 2), ("average", 0.0)],
)
def test_words_take_the_scores_of_their_tokens(aggregation: Aggregation, score: float) -> None:
    found = find_entities(TEXT, PIECES, LABELS, aggregation, OUTSIDE)
    if aggregation == "first":
        assert [(e.label, e.word) for e in found] == [("PER", "Ann Smith,"), ("ORG", "Acme")]
        assert found[0].score == pytest.approx(score)
    elif aggregation == "max":  # the comma is surer than the name
        assert [(e.label, e.word) for e in found] == [("PER", "Ann"), ("ORG", "Acme")]
        assert found[0].score == pytest.approx(0.7)
    else:  # "Ann": 0.3, 0.35, 0.25, 0.1
        assert [(e.label, e.word) for e in found] == [("PER", "Ann"), ("ORG", "Acme")]
        assert found[0].score == pytest.approx(0.35)
    assert all(e.index is None for e in found)
