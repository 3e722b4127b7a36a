"""What the curve of a server says whose behaviour is known: one queue that does 100 per second."""

import pytest

from loadtests.load.curve import (
    Span,
    count_seconds,
    describe_seconds,
    describe_steps,
    find_capacity,
    find_knee,
    find_saturation,
    judge_run,
)
from loadtests.load.recorder import LATENCY, OK, SHED, Recorder
from loadtests.load.slo import parse_slo

START, STEP_SECONDS, CAPACITY = 1000.0, 4, 100
LOADS = [10, 30, 50, 70, 90, 130]


def make_run(loads: list[int]) -> tuple[Recorder, list[Span]]:
    """Mean waits of an M/M/1 queue; what is beyond the capacity is refused."""
    recorder, spans = Recorder(), []
    for index, load in enumerate(loads):
        start = START + index * STEP_SECONDS
        spans.append(Span(load, start, start + STEP_SECONDS))
        for number in range(load * STEP_SECONDS):
            due = start + number / load
            recorder.start("chat", due)
            is_refused = number % load >= 0.98 * CAPACITY
            latency = 10 / (1 - min(load, 98) / CAPACITY)
            recorder.end("chat", due, SHED if is_refused else OK, {LATENCY: latency})
    return recorder, spans


def test_steps_have_their_figures() -> None:
    steps = describe_steps(*make_run(LOADS), settle=0.25)

    assert [step["load"] for step in steps] == LOADS
    assert [step["offered"] for step in steps] == pytest.approx(LOADS)
    assert [step["seconds"] for step in steps] == [3] * len(LOADS)
    assert steps[2]["times"][LATENCY]["mean"] == pytest.approx(20.0)
    assert steps[2]["kinds"]["chat"]["errors"] == 0.0
    assert steps[5]["shed"] == pytest.approx(32 / 130)
    assert steps[5]["throughput"] < 100


def test_knee_of_a_single_queue_is_at_half_its_capacity() -> None:
    steps = describe_steps(*make_run(LOADS), settle=0.25)
    knee = find_knee(steps)

    assert knee is not None
    assert LOADS[knee] == 50


def test_two_points_make_no_curve() -> None:
    assert find_knee(describe_steps(*make_run(LOADS[:2]), settle=0.0)) is None


def test_saturation_begins_where_answers_stay_behind() -> None:
    assert find_saturation(describe_steps(*make_run(LOADS), settle=0.25)) == 5
    assert find_saturation(describe_steps(*make_run(LOADS[:5]), settle=0.25)) is None


def test_capacity_is_the_highest_load_that_met_the_objectives_as_all_below() -> None:
    recorder, spans = make_run(LOADS)

    assert find_capacity(parse_slo("p99=40ms", ["chat"]), recorder, spans) == 70
    assert find_capacity(parse_slo("errors=0%", ["chat"]), recorder, spans) == 90
    assert find_capacity(parse_slo("p99=1ms", ["chat"]), recorder, spans) is None


def test_run_is_judged_up_to_the_load_that_is_named() -> None:
    recorder, spans = make_run(LOADS)
    met = {
        text: judge_run(parse_slo(text, ["chat"]), recorder, spans)[0].is_met
        for text in ("errors=0%", "errors=0%,load=90", "p99=40ms,load=70", "p99=40ms,load=90")
    }

    assert list(met.values()) == [False, True, True, False]
    assert not judge_run(parse_slo("p99=1h,load=5", ["chat"]), recorder, spans)[0].is_met


def test_whole_run_counts_its_first_and_last_parts_of_seconds() -> None:
    recorder = Recorder()
    for due in (0.7, 1.5, 2.2):
        recorder.start("chat", due)
        recorder.end("chat", due, OK, {LATENCY: 100.0 if due != 1.5 else 1.0})
    verdict = judge_run(parse_slo("max=50ms", ["chat"]), recorder, [Span(1, 0.6, 2.4)])

    assert not verdict[0].is_met


@pytest.mark.parametrize(
    ("start", "end", "width", "expected"), [(0.5, 3.5, 1, 2), (0.0, 3.0, 1, 3), (1, 2, 5, 0)]
)
def test_seconds_are_those_of_whole_cells(
    start: float, end: float, width: int, expected: int
) -> None:
    assert count_seconds(start, end, width) == expected


def test_course_shows_each_second() -> None:
    course = describe_seconds(*make_run([10, 30]))

    assert [each["second"] for each in course] == list(range(8))
    assert [each["offered"] for each in course] == [10.0] * 4 + [30.0] * 4
