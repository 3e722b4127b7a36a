import pytest

from loadtests.load.recorder import FAILED, LATENCY, OK, SHED, Cell, Recorder
from loadtests.load.slo import judge, parse_slo

KINDS = ("chat", "document")


def make_cell(latencies: list[float], num_failed: int = 0, num_shed: int = 0) -> Cell:
    recorder = Recorder()
    ends = [(OK, each) for each in latencies] + [(FAILED, 1.0)] * num_failed
    for outcome, latency in ends + [(SHED, 1.0)] * num_shed:
        recorder.start("chat", 100.0)
        recorder.end("chat", 100.0, outcome, {LATENCY: latency, "queue": latency / 2})
    return recorder.sum_up({100})


def find_met(text: str, cell: Cell) -> list[bool]:
    verdicts = judge(parse_slo(text, KINDS), {None: cell, "chat": cell}, 10.0)
    return [verdict.is_met for verdict in verdicts]


def test_limits_are_milliseconds_shares_and_rates() -> None:
    slo = parse_slo("p99.9=1.5s,errors=0.1%,chat.queue_p50=20ms,rate=3,load=80", KINDS)
    limits = {objective.name: objective.limit for objective in slo.objectives}

    assert limits == {
        "p99.9": 1500.0,
        "errors": pytest.approx(0.001),
        "chat.queue_p50": 20.0,
        "rate": 3.0,
    }
    assert slo.max_load == 80.0


def test_times_are_judged_by_percentile_mean_and_maximum() -> None:
    cell = make_cell([10.0] * 98 + [500.0] * 2)

    assert find_met("p50=20ms,p99=600ms", cell) == [True, True]
    assert find_met("p99=20ms", cell) == [False]
    assert find_met("mean=19ms,max=499ms,queue_p50=6ms,queue_p99=6ms", cell) == [
        False,
        False,
        True,
        False,
    ]


def test_errors_are_all_that_was_not_answered_well() -> None:
    cell = make_cell([10.0] * 97, num_failed=1, num_shed=2)

    assert find_met("errors=3%", cell) == [True]
    assert find_met("errors=2.9%", cell) == [False]
    assert find_met("shed=2%", cell) == [True]
    assert find_met("shed=1.9%", cell) == [False]


def test_request_that_was_never_answered_is_an_error() -> None:
    recorder = Recorder()
    recorder.start("chat", 100.0)

    assert find_met("errors=99%", recorder.sum_up({100})) == [False]


def test_rate_is_a_floor() -> None:
    cell = make_cell([10.0] * 50)  # in ten seconds

    assert find_met("rate=5", cell) == [True]
    assert find_met("rate=5.1", cell) == [False]


def test_nothing_answered_meets_nothing() -> None:
    assert find_met("p99=1h,errors=100%,max=1h,mean=1h", Cell()) == [False] * 4
    verdicts = judge(parse_slo("document.p99=1s", KINDS), {None: make_cell([1.0])}, 1.0)
    assert (verdicts[0].is_met, verdicts[0].value) == (False, "nothing was answered")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p99", "'p99' is not NAME=VALUE"),
        ("p99=1500", "p99: '1500' is not a time; write a number and ms, s, m or h"),
        ("p0=1s", "p0: a percentile lies above 0"),
        ("p101=1s", "p101: a percentile lies above 0 and at most at 100"),
        ("errors=0.1", "errors: '0.1' is not a share; write 0% to 100%"),
        ("latency=1s", "latency: is not an objective; known are p50"),
        ("caht.p99=1s", "caht.p99: unknown kind 'caht'; known are chat, document"),
        ("queue_errors=1%", "errors is of requests, not of queue time"),
        ("p99=1s,p99=2s", "'p99' comes twice"),
        ("load=10", "load needs an objective to go with it"),
        ("p99=1s,load=many", "load: 'many' is not a number"),
        ("", "is not NAME=VALUE"),
    ],
)
def test_malformed_objectives_are_refused_in_words_that_help(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_slo(text, KINDS)
