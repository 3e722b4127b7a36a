import numpy as np
import pytest

from service.engine.batch import TokenSequence
from service.pipeline.attribution import attribute, erase_each, group_tokens
from tests.fakes import NEVER, make_manifest, make_model

MODEL = make_model(make_manifest("classification", "film"))


def make_sequence(num_tokens: int) -> TokenSequence:
    return TokenSequence(list(range(num_tokens)), 0.0, NEVER)


@pytest.mark.parametrize(
    ("spans", "groups"),
    [
        ([], []),
        ([(0, 3)], [(0, 1)]),
        ([(0, 3), (4, 6)], [(0, 1), (1, 2)]),
        # the bytes of one character
        ([(0, 3), (4, 5), (4, 5), (4, 5), (6, 8)], [(0, 1), (1, 4), (4, 5)]),
        # a space of its own before a word
        ([(0, 3), (4, 4), (4, 6)], [(0, 1), (1, 3)]),
        ([(0, 0), (0, 1), (1, 2)], [(0, 2), (2, 3)]),
    ],
)
def test_tokens_that_share_characters_go_together(
    spans: list[tuple[int, int]], groups: list[tuple[int, int]]
) -> None:
    assert list(group_tokens(spans)) == groups


def test_each_erasure_is_the_text_without_a_stretch() -> None:
    sequence = make_sequence(4)

    erasures = erase_each(sequence, [(0, 3), (4, 5), (4, 5), (5, 8)])

    assert [(each.start, each.end) for each in erasures] == [(0, 3), (4, 5), (5, 8)]
    rests = [each.rest for each in erasures if each.rest]
    assert [rest.input_ids for rest in rests] == [[1, 2, 3], [0, 3], [0, 1, 2]]
    assert all(rest.deadline == sequence.deadline for rest in rests)


def test_weight_is_the_probability_that_the_label_loses() -> None:
    sequence = make_sequence(2)
    erasures = erase_each(sequence, [(0, 1), (1, 2)])
    logits = {sequence: [0.0, 2.0], erasures[0].rest: [0.0, 3.0], erasures[1].rest: [1.0, 0.0]}
    results = {key: np.array(value, dtype=np.float32) for key, value in logits.items() if key}

    first, second = attribute(MODEL, "ab", sequence, erasures, results)

    def sigmoid(value: float) -> float:
        return float(1 / (1 + np.exp(-value)))

    assert first.weight == pytest.approx(sigmoid(2.0) - sigmoid(3.0), abs=1e-6)
    assert second.weight == pytest.approx(sigmoid(2.0) - sigmoid(-1.0), abs=1e-6)


def test_only_token_is_compared_with_knowing_nothing() -> None:
    sequence = make_sequence(1)
    results = {sequence: np.array([0.0, 2.0], dtype=np.float32)}

    (only,) = attribute(MODEL, "a", sequence, erase_each(sequence, [(0, 1)]), results)

    assert only.weight == pytest.approx(1 / (1 + np.exp(-2.0)) - 0.5, abs=1e-6)
