"""Tokens at their places in a text, over a tokenizer with a token per byte."""

from dataclasses import replace

import numpy as np
import pytest

from service.arrays import FloatArray
from service.pipeline.tagging.pieces import Piece, locate_tokens, make_pieces, render_text
from service.repository.model import Model
from tests.fakes import ByteTokenizer, make_manifest, make_model

LABELS = ("O", "SPACE")


class FirstCodePoints(ByteTokenizer):
    """Has a token for each syllable and gives the first code point of it, as tokenizers do."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        starts = [place for place, each in enumerate(text) if "\u1100" <= each <= "\u1112"]
        return [(start, start + 1) for start in starts]


def make_tagger(tokenizer: ByteTokenizer | None = None) -> Model:
    model = make_model(make_manifest(labels=LABELS, output_kind="probabilities"))
    return replace(model, tokenizer=tokenizer or ByteTokenizer())


def score(*labels: str) -> FloatArray:
    return np.array([[label == each for each in LABELS] for label in labels], np.float32)


def test_a_token_has_its_place_in_the_text() -> None:
    assert locate_tokens(make_tagger(), "ab c") == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_a_syllable_of_several_code_points_is_whole() -> None:
    text = "\u1102\u1161 \u1100\u1161\u11ab"

    assert locate_tokens(make_tagger(FirstCodePoints()), text) == [(0, 2), (3, 6)]


def test_a_token_without_extent_is_not_a_piece() -> None:
    pieces = make_pieces(make_tagger(), [(0, 1), (1, 1), (1, 2)], score("O", "SPACE", "SPACE"))

    assert [(piece.start, piece.end) for piece in pieces] == [(0, 1), (1, 2)]
    assert pieces[1].scores.tolist() == [0.0, 1.0]


def test_as_many_scores_as_tokens_are_expected() -> None:
    with pytest.raises(ValueError, match="shorter"):
        make_pieces(make_tagger(), [(0, 1), (1, 2)], score("O"))


@pytest.mark.parametrize(
    ("labels", "rendered"),
    [
        (("O", "O", "O"), "abc"),
        (("O", "SPACE", "O"), "ab c"),
        (("SPACE", "SPACE", "SPACE"), "a b c"),
    ],
)
def test_white_space_is_put_where_the_labels_say(labels: tuple[str, ...], rendered: str) -> None:
    pieces = [Piece(place, place + 1, row) for place, row in enumerate(score(*labels))]

    assert render_text("abc", pieces, LABELS) == rendered
