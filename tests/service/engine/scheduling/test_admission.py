import pytest

from service.engine.scheduling.admission import (
    QueueLimits,
    QueueState,
    ServiceRate,
    check_admission,
)
from service.errors import InputTooLong, Overloaded
from tests.fakes import make_sequence

LIMITS = QueueLimits(max_sequences=10, max_tokens=100, max_wait_seconds=2.0)


def observe_steadily(rate: ServiceRate, tokens_per_second: float, seconds: float) -> None:
    """Batches of a tenth of a second each, others always waiting."""
    for index in range(int(10 * seconds) + 1):
        rate.observe(int(tokens_per_second / 10), index / 10, is_backlogged=True)


def test_wait_is_not_predicted_before_it_was_measured() -> None:
    rate = ServiceRate()
    rate.observe(100, 0.0, is_backlogged=True)
    rate.observe(100, 0.01, is_backlogged=True)

    assert rate.predict_seconds(1_000_000, 0.01) == 0.0


def test_wait_follows_from_the_measured_rate() -> None:
    rate = ServiceRate()
    observe_steadily(rate, 500, seconds=1.0)

    assert rate.predict_seconds(1000, 1.0) == pytest.approx(2.0, rel=0.05)


def test_idle_time_does_not_count_as_slowness() -> None:
    rate = ServiceRate()
    observe_steadily(rate, 500, seconds=1.0)
    rate.observe(50, 1.1, is_backlogged=False)
    rate.observe(10, 2.1, is_backlogged=True)

    assert rate.predict_seconds(1000, 2.1) == pytest.approx(2.0, rel=0.1)


def test_queue_that_was_left_by_all_does_not_count_as_slow_either() -> None:
    rate = ServiceRate()
    observe_steadily(rate, 500, seconds=2.0)
    rate.pause(2.05)
    rate.observe(10, 3.0, is_backlogged=True)

    assert rate.predict_seconds(1000, 3.0) == pytest.approx(2.0, rel=0.1)


def test_process_that_stood_still_for_a_minute_is_not_slow() -> None:
    rate = ServiceRate()
    observe_steadily(rate, 500, seconds=2.0)
    for index in range(20):
        rate.observe(50, 62.0 + index / 10, is_backlogged=True)

    assert rate.predict_seconds(1000, 64.0) < 3.0


def test_what_was_seen_long_ago_is_forgotten() -> None:
    rate = ServiceRate()
    observe_steadily(rate, 500, seconds=2.0)
    rate.observe(10, 2.1, is_backlogged=False)

    assert rate.predict_seconds(1000, 2.2) > 0
    assert rate.predict_seconds(1000, 60.0) == 0.0


def test_rate_follows_an_engine_that_has_become_slower() -> None:
    rate = ServiceRate()
    observe_steadily(rate, 500, seconds=5.0)
    for index in range(100):
        rate.observe(5, 5.0 + (index + 1) / 10, is_backlogged=True)

    assert rate.predict_seconds(100, 15.0) == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (QueueState(9, 20, 0.5), "requests"),
        (QueueState(5, 95, 0.5), "tokens"),
        (QueueState(5, 50, 2.5), "wait"),
        (QueueState(5, 50, 1.5), "deadline"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusal_names_its_reason_and_when_the_queue_will_be_done(
    state: QueueState, reason: str
) -> None:
    sequences = [make_sequence(5, deadline=11.0), make_sequence(5, deadline=100.0)]

    with pytest.raises(Overloaded, match="retry later") as raised:
        check_admission("tiny", sequences, state, LIMITS, now=10.0)

    assert raised.value.reason == reason
    assert raised.value.retry_after_seconds == state.wait_seconds


def test_what_never_fits_is_not_told_to_retry() -> None:
    with pytest.raises(InputTooLong, match=r"11 requests.*limit of 10.*send less"):
        check_admission("tiny", [make_sequence()] * 11, QueueState(0, 0, 0.0), LIMITS, 0.0)


@pytest.mark.parametrize("wait_seconds", [0.0, 2.0])
def test_what_has_room_and_time_is_let_in(wait_seconds: float) -> None:
    state = QueueState(9, 95, wait_seconds)

    check_admission("tiny", [make_sequence(5, deadline=2.1)], state, LIMITS, now=0.0)


def test_deadline_that_has_passed_is_for_the_queue_to_tell() -> None:
    check_admission("tiny", [make_sequence(deadline=1.0)], QueueState(1, 1, 1.0), LIMITS, now=2.0)
