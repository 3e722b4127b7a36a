from collections.abc import Mapping

import numpy as np
import pytest

from service.arrays import Array
from service.engine.batch import TokenSequence
from service.engine.classification.classifier import ClassifierRunner
from service.errors import InferenceFailed
from tests.fakes import PAD_ID, FakeSession, make_sequence


def sum_rows(feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Logits (B, 2): sum over each text's own tokens, and its length."""
    mask = np.arange(feeds["input_ids"].shape[1]) < feeds["lengths"][:, None]
    sums = (feeds["input_ids"] * mask).sum(axis=1)
    return {"logits": np.stack([sums, feeds["lengths"]], axis=1).astype(np.float32)}


def test_each_sequence_gets_its_own_row() -> None:
    sequences = [TokenSequence([7, 7, 7], 0.0, 1.0), TokenSequence([5], 0.0, 1.0)]

    answers = dict(ClassifierRunner(FakeSession(sum_rows), PAD_ID, 8).step(sequences))

    assert [list(answers[sequence]) for sequence in sequences] == [[21, 3], [5, 1]]


def test_one_step_is_one_run() -> None:
    session = FakeSession(sum_rows)

    ClassifierRunner(session, PAD_ID, 8).step([make_sequence(2), make_sequence(4)])

    assert [feeds["input_ids"].shape for feeds in session.feeds] == [(2, 4)]


def test_nothing_runs_between_steps() -> None:
    runner = ClassifierRunner(FakeSession(sum_rows), PAD_ID, 8)
    runner.step([make_sequence(2)])

    assert (runner.num_running, runner.free_rows) == (0, 8)


def test_failed_run_is_passed_on_and_the_next_one_works() -> None:
    def fail_on_long(feeds: Mapping[str, Array]) -> dict[str, Array]:
        if feeds["input_ids"].shape[1] > 3:
            raise InferenceFailed("too long for this session")
        return sum_rows(feeds)

    runner = ClassifierRunner(FakeSession(fail_on_long), PAD_ID, 8)

    with pytest.raises(InferenceFailed):
        runner.step([make_sequence(4)])
    runner.reset()
    assert len(runner.step([make_sequence(2)])) == 1
