import pytest

from service.engine.scheduling.forecast import Forecast
from service.errors import Overloaded
from tests.fakes import make_backlog, make_metrics, make_sequence, read_metric


def count_admitted(forecast: Forecast) -> int:
    """Requests that are let in before the first refusal."""
    for num_admitted in range(1000):
        try:
            forecast.admit()
        except Overloaded:
            return num_admitted
    return 1000


def test_requests_that_are_let_in_count_before_they_are_queued() -> None:
    queue = make_backlog(wait_seconds=0.4, max_wait_seconds=0.5, num_waiting=40)
    forecast = Forecast(queue, 0.0)
    num_admitted = count_admitted(forecast)

    assert num_admitted == pytest.approx(11, abs=1)  # of 10 ms each, from 0.4 to 0.5 s
    assert queue.num_waiting == 40


def test_time_already_waited_counts_as_if_it_were_to_come() -> None:
    metrics = make_metrics()
    forecast = Forecast(make_backlog(0.3, metrics=metrics), 0.0)
    forecast.admit(waited_seconds=0.1)
    with pytest.raises(Overloaded, match=r"predicted to be 0.6 s") as raised:
        forecast.admit(waited_seconds=0.3)

    assert raised.value.reason == "age"
    assert raised.value.retry_after_seconds == pytest.approx(0.3, rel=0.05)
    assert read_metric(metrics, "shed_total", model="slow", reason="age") == 1


def test_wait_beyond_the_deadline_is_refused_early() -> None:
    forecast = Forecast(make_backlog(0.3), 0.0)
    forecast.admit(seconds_left=0.4)
    with pytest.raises(Overloaded, match=r"the deadline is in 0.2 s") as raised:
        forecast.admit(seconds_left=0.2)
    assert raised.value.reason == "deadline"


def test_deadline_that_has_passed_is_not_a_matter_of_the_queue() -> None:
    Forecast(make_backlog(0.3), 0.0).admit(seconds_left=-1.0)


def test_age_alone_is_no_reason_to_refuse_what_need_not_wait() -> None:
    queue = make_backlog(0.3)
    while queue.num_waiting:
        queue.take_if(lambda batch: True, 1, now=2.0)
    Forecast(queue, 2.0).admit(waited_seconds=9.0)


@pytest.mark.parametrize(("now", "num_admitted"), [(0.99, 20), (1.01, 0)])
def test_queue_that_stands_for_a_second_has_a_lower_limit(now: float, num_admitted: int) -> None:
    queue = make_backlog(0.3, 0.42, max_standing_wait_seconds=0.25)  # 6 ms for each
    assert count_admitted(Forecast(queue, now)) == pytest.approx(num_admitted, abs=1)


def test_queue_that_was_empty_meanwhile_does_not_stand() -> None:
    queue = make_backlog(0.3, 0.42, max_standing_wait_seconds=0.25)
    while queue.num_waiting:
        queue.take_if(lambda batch: True, 1, now=1.3)
    queue.add([make_sequence(5) for _ in range(50)], now=1.4)
    assert count_admitted(Forecast(queue, 2.3)) == pytest.approx(20, abs=2)
    assert count_admitted(Forecast(queue, 2.5)) == 0
