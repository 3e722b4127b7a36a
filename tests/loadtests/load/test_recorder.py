import json
import math
import random

import pytest

from loadtests.load.histogram import GROWTH, Histogram
from loadtests.load.recorder import FAILED, FIRST, LATE, LATENCY, OK, Recorder, read_stages
from loadtests.measuring.figures import percentile


def fill(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@pytest.mark.parametrize("percent", [1, 50, 90, 99, 99.9, 100])
def test_percentile_is_exact_within_a_bucket(percent: float) -> None:
    rng = random.Random(3)
    values = [rng.lognormvariate(3, 2) for _ in range(5000)]
    exact = percentile(values, percent)

    assert exact <= fill(values).percentile(percent) * (1 + 1e-9)
    assert fill(values).percentile(percent) <= exact * GROWTH * (1 + 1e-9)


def test_empty_histogram_has_no_figures() -> None:
    assert math.isnan(Histogram().percentile(50))
    assert math.isnan(Histogram().mean_ms)


def test_merged_parts_are_the_whole() -> None:
    values = [0.0, 0.001, 1.0, 30.0, 5000.0]
    whole, part = fill(values), fill(values[:2])
    part.merge(Histogram.unpack(json.loads(json.dumps(fill(values[2:]).pack()))))

    assert part.counts == whole.counts
    assert (part.total_ms, part.max_ms) == (whole.total_ms, whole.max_ms)


def test_workers_add_up_to_one_process() -> None:
    alone, master = Recorder(), Recorder()
    workers = [Recorder(), Recorder()]
    for index in range(100):
        due, kind = 50.0 + index / 10, ("chat", "stream")[index % 2]
        for recorder in (alone, workers[index % 3 % 2]):
            recorder.start(kind, due)
            recorder.end(kind, due, OK, {LATENCY: float(index), "queue": 2.0, LATE: 0.1})
        if index % 30 == 0:  # reports come in between
            master.absorb(json.loads(json.dumps(workers[0].take())))
    for worker in workers:
        master.absorb(json.loads(json.dumps(worker.take())))

    assert master.cells.keys() == alone.cells.keys()
    for key, cell in alone.cells.items():
        assert master.cells[key].num_due == cell.num_due
        assert master.cells[key].num_answers == cell.num_answers
        assert master.cells[key].time(LATENCY).counts == cell.time(LATENCY).counts
    assert workers[0].take() == []


def test_request_belongs_to_when_it_was_due_and_its_answer_to_when_it_came() -> None:
    recorder = Recorder()
    recorder.start("chat", 10.9)
    assert recorder.num_under_way == 1
    recorder.end("chat", 10.9, OK, {LATENCY: 2500.0})

    assert recorder.num_under_way == 0
    assert recorder.sum_up({10}).num_ok == 1
    assert recorder.sum_up({10}).num_answers == 0
    assert recorder.sum_up({13}).num_answers == 1


def test_failures_leave_latency_alone_but_not_lateness() -> None:
    recorder = Recorder()
    recorder.start("chat", 10.0)
    recorder.end("chat", 10.0, FAILED, {LATENCY: 1.0, FIRST: 1.0, LATE: 7.0})
    cell = recorder.sum_up({10})

    assert (cell.time(LATENCY).count, cell.time(FIRST).count) == (0, 0)
    assert cell.time(LATE).max_ms == 7.0


def test_wide_cells_hold_several_seconds() -> None:
    recorder = Recorder(5)
    for due in (10.0, 14.9, 15.0):
        recorder.start("chat", due)

    assert recorder.list_starts(9.0, 20.0, is_whole=True) == {10, 15}
    assert recorder.list_starts(11.0, 20.0, is_whole=True) == {15}
    assert recorder.list_starts(11.0, 15.0, is_whole=False) == {10}
    assert recorder.sum_up({10}).num_due == 2


def test_stages_are_read_from_the_header() -> None:
    header = "tokenize;dur=0.125, queue;dur=2.5, inference;dur=30, total;dur=33"

    assert dict(read_stages(header)) == {"tokenize": 0.125, "queue": 2.5, "inference": 30.0}
    assert dict(read_stages("")) == {}
