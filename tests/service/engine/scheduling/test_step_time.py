from service.engine.scheduling.step_time import SHORT_SECONDS, StepTimeEstimator
from tests.fakes import make_sequence


def test_first_step_of_all_is_tried() -> None:
    assert StepTimeEstimator().is_short([make_sequence(10_000)])


def test_step_is_short_up_to_the_limit() -> None:
    pace = StepTimeEstimator()
    pace.observe([make_sequence(10)], SHORT_SECONDS)
    assert pace.is_short([make_sequence(10)])
    assert not pace.is_short([make_sequence(11)])
    assert not pace.is_short([make_sequence(10), make_sequence(1)])


def test_padding_counts_like_tokens() -> None:
    pace = StepTimeEstimator()
    pace.observe([make_sequence(10), make_sequence(10)], SHORT_SECONDS)
    assert pace.is_short([make_sequence(10), make_sequence(1)])


def test_pace_follows_the_engine() -> None:
    pace = StepTimeEstimator()
    pace.observe([make_sequence(1)], 1.0)
    assert not pace.is_short([make_sequence(1)])
    for _ in range(100):
        pace.observe([make_sequence(1)], SHORT_SECONDS / 2)
    assert pace.is_short([make_sequence(1)])


def test_one_stall_says_little() -> None:
    pace = StepTimeEstimator()
    pace.observe([make_sequence(1)], SHORT_SECONDS / 4)
    pace.observe([make_sequence(1)], 1000.0)
    assert pace.is_short([make_sequence(1)])


def test_step_on_a_thread_only_shows_a_quicker_pace() -> None:
    pace = StepTimeEstimator()
    pace.observe([make_sequence(10)], SHORT_SECONDS)
    for _ in range(100):
        pace.observe([make_sequence(10)], 2 * SHORT_SECONDS, on_loop=False)
    assert pace.is_short([make_sequence(10)])
    for _ in range(100):
        pace.observe([make_sequence(10)], SHORT_SECONDS / 2, on_loop=False)
    assert pace.is_short([make_sequence(19)])
