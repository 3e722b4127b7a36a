"""What is made of the tokens that slots give; the tests of the export compare with the search."""

import numpy as np
import pytest

from service.arrays import Array
from service.engine.batch import Hypothesis, Result
from service.engine.search.repetition import MAX_PERIOD
from service.engine.search.translator import LOOP_INTERVAL, LOOP_TOKENS
from service.engine.slots.sequences import BeamSequence, GreedySequence, find_defect
from tests.fakes import EOS_ID, make_sequence

NO_LIMIT = 10**6


def give(tokens: list[int], scores: list[float]) -> dict[str, Array]:
    """One call for two slots; the other one is full of eos."""
    return {
        "tokens": np.array([[EOS_ID] * len(tokens), tokens]),
        "scores": np.array([[0.0] * len(tokens), scores], np.float32),
    }


def rank(*steps: list[tuple[int, int, float]]) -> dict[str, Array]:
    """Ranked continuations (token, parent, total) of each step, in slot 0."""
    columns = zip(["tokens", "parents", "ranked_totals"], range(3), strict=True)
    return {
        name: np.array([[[each[place] for each in ranked] for ranked in steps]])
        for name, place in columns
    }


def unpack(result: Result | None) -> list[Hypothesis]:
    assert isinstance(result, list)
    return result


def test_a_greedy_sentence_ends_with_eos_within_a_call() -> None:
    greedy = GreedySequence(make_sequence(), EOS_ID)

    assert greedy.advance(give([20, 21], [-0.1, -0.2]), 1) is None
    (found,) = unpack(greedy.advance(give([22, EOS_ID, 23], [-0.3, -0.4, -9.0]), 1))

    assert (found.token_ids, found.is_complete) == ([20, 21, 22], True)
    assert found.score == pytest.approx(-1.0 / 4)


def test_a_greedy_sentence_is_cut_at_its_limit() -> None:
    greedy = GreedySequence(make_sequence(max_new_tokens=2), EOS_ID)
    (found,) = unpack(greedy.advance(give([20, 21, 22], [-1.0, -2.0, -3.0]), 1))

    assert (found.token_ids, found.defect) == ([20, 21], "length")
    assert found.score == pytest.approx(-1.5)


def test_new_tokens_are_passed_on_once_and_eos_never() -> None:
    told: list[list[int]] = []
    sequence = make_sequence()
    sequence.on_tokens = told.append
    greedy = GreedySequence(sequence, EOS_ID)
    for tokens in ([20, 21], [22], [EOS_ID]):
        greedy.advance(give(tokens, [-0.1] * len(tokens)), 1)

    assert told == [[20, 21], [22]]


def test_beams_end_with_as_many_hypotheses_as_they_have() -> None:
    beams = BeamSequence(make_sequence(beam_size=2), EOS_ID)

    begun = rank([(20, 0, -0.1), (21, 0, -0.5), (22, 0, -2.0), (23, 0, -3.0)])
    assert beams.advance(begun, 0) is None
    ended = rank([(EOS_ID, 0, -0.2), (24, 1, -0.6), (EOS_ID, 1, -0.7), (25, 0, -0.8)])
    assert beams.advance(ended, 0) is None
    closed = rank([(EOS_ID, 0, -0.9), (26, 1, -1.0), (27, 0, -1.1), (28, 0, -1.2)])
    best, second = unpack(beams.advance(closed, 0))

    assert (best.token_ids, second.token_ids) == ([20], [21, 24])
    assert (best.score, second.score) == (pytest.approx(-0.1), pytest.approx(-0.3))


def test_beams_at_their_limit_are_cut() -> None:
    beams = BeamSequence(make_sequence(beam_size=2, max_new_tokens=1), EOS_ID)
    found = unpack(beams.advance(rank([(20, 0, -0.1), (21, 0, -0.5), (22, 0, -2.0)]), 0))

    assert [(each.token_ids, each.defect) for each in found] == [([20], "length"), ([21], "length")]


def repeat(period: int, count: int) -> list[int]:
    return [20 + place % period for place in range(count)]


@pytest.mark.parametrize("period", [1, 2, MAX_PERIOD])
def test_tokens_that_repeat_a_short_period_are_a_loop(period: int) -> None:
    count = -(-LOOP_TOKENS // LOOP_INTERVAL) * LOOP_INTERVAL

    assert find_defect(repeat(period, count), NO_LIMIT) == "loop"
    assert find_defect(repeat(period, count + 1), NO_LIMIT) is None  # not looked at


@pytest.mark.parametrize(
    ("token_ids", "limit", "defect"),
    [
        (repeat(MAX_PERIOD + 1, 4 * LOOP_TOKENS), NO_LIMIT, None),
        (repeat(1, LOOP_INTERVAL), LOOP_INTERVAL, "length"),
        ([20], 2, None),
    ],
)
def test_other_tokens_end_at_their_limit_alone(
    token_ids: list[int], limit: int, defect: str | None
) -> None:
    assert find_defect(token_ids, limit) == defect
