import numpy as np
import pytest

from service.engine.batch import Hypothesis, SearchOptions, TokenSequence
from service.engine.search.beams import (
    BeamGroup,
    History,
    RunningSequence,
    common_prefix,
    rank_continuations,
    rank_hypotheses,
    start_beam_group,
)
from tests.fakes import NEVER, START_ID


def make_group(num_sentences: int, beam_size: int) -> BeamGroup:
    search = SearchOptions(beam_size, 10)
    sentences = [
        RunningSequence(TokenSequence([3], 0.0, NEVER, search, START_ID), handle, first_call=0)
        for handle in range(num_sentences)
    ]
    return start_beam_group(sentences, np.arange(num_sentences))


def test_calls_that_nobody_traces_back_to_are_forgotten() -> None:
    history = History()
    for call in range(50):
        history.append(np.array([call, 100 + call]), np.array([1, 0]))
        history.forget(max(0, call - 3))

    assert history.num_calls == 50
    assert history.trace(0, first_call=46) == ([47, 148, 49], [1, 0, 1, 0])


def test_hypotheses_are_traced_to_where_they_part() -> None:
    history = History()
    history.append(np.array([1, 1]), np.array([0, 0]))
    history.append(np.array([5, 6]), np.array([0, 0]))
    history.append(np.array([7, 8]), np.array([1, 1]))
    history.append(np.array([9, 9]), np.array([0, 1]))

    assert history.trace_common([0, 1], first_call=0) == [6]
    assert history.trace_common([1], first_call=0) == [6, 8, 9]
    assert history.trace_common([0, 1], first_call=1) == []


def test_tails_come_latest_first() -> None:
    history = History()
    for call in range(5):
        history.append(np.array([call, 10 + call]), np.array([1, 0]))

    assert history.find_tails(np.array([0, 1]), 3).tolist() == [[4, 14], [13, 3], [2, 12]]


def test_all_rows_of_a_sentence_start_alike_and_one_has_a_chance() -> None:
    group = make_group(2, 3)

    assert group.token_ids.tolist() == [[START_ID] * 3] * 2
    assert group.parents.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert np.isfinite(group.scores).tolist() == [[True, False, False]] * 2


def test_equal_scores_keep_the_order_of_beams_and_of_their_candidates() -> None:
    group = make_group(1, 2)
    group.scores = np.zeros((1, 2))
    group.first_row = 4
    scores = np.full((6, 3), -1.0, np.float32)
    candidates = np.arange(18).reshape(6, 3)

    ranked = rank_continuations(group, scores, candidates)

    assert ranked.token_ids.tolist() == [[12, 13, 14, 15]]
    assert ranked.parents.tolist() == [[4, 4, 4, 5]]


def test_a_sentence_that_leaves_takes_its_rows_along() -> None:
    group = make_group(4, 2)
    group.token_ids = np.arange(8).reshape(4, 2)

    group.remove([0, 2])

    assert [sentence.handle for sentence in group.sentences] == [1, 3]
    assert group.token_ids.tolist() == [[2, 3], [6, 7]]
    assert group.num_rows == 4


@pytest.mark.parametrize(
    ("left", "right", "common"),
    [([1, 2, 3], [1, 2, 4], [1, 2]), ([1, 2], [1], [1]), ([1], [1, 2], [1]), ([1], [], [])],
)
def test_the_common_prefix_ends_where_either_does(
    left: list[int], right: list[int], common: list[int]
) -> None:
    assert common_prefix(left, right) == common


def test_loops_stand_behind_complete_hypotheses_and_before_those_cut_short() -> None:
    (sentence,) = make_group(1, 4).sentences
    whole, loop = Hypothesis([3, 4, 5], -2.0), Hypothesis([7] * 20, -0.1)
    cut, stuck = Hypothesis([3, 4], -0.01, "length"), Hypothesis([8] * 24, -0.02, "loop")
    sentence.finished += [cut, loop, stuck, whole]

    ranked = rank_hypotheses(sentence)

    assert [one.token_ids for one in ranked] == [one.token_ids for one in (whole, loop, cut, stuck)]
    assert [one.defect for one in ranked] == [None, "loop", "length", "loop"]


def test_no_more_hypotheses_are_given_than_the_beam_is_wide() -> None:
    (sentence,) = make_group(1, 2).sentences
    sentence.finished += [Hypothesis([place], -float(place)) for place in (5, 3, 4)]

    assert [one.token_ids for one in rank_hypotheses(sentence)] == [[3], [4]]
