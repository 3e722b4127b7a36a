import pytest

from loadtests.bench.parts.peer import OURS, PEER
from loadtests.bench.reporting.goals import (
    Goal,
    find_goals,
    judge_http,
    judge_overload,
    judge_peer,
    judge_translation,
)
from tests.loadtests.samples import FLOOR, FP32, INT8, PLAIN, TORCHSERVE, make_results, make_turn


def test_goals_are_floors_or_ceilings() -> None:
    assert Goal("rate", 2.0, 2.0).is_met
    assert not Goal("rate", 1.9, 2.0).is_met
    assert Goal("time", 1.1, 1.1, is_floor=False).is_met
    assert not Goal("time", 1.2, 1.1, is_floor=False).is_met


def test_http_is_judged_by_ratios_within_rounds() -> None:
    one_round = {
        FLOOR: make_turn(6000, 1.0, 150.0),
        PLAIN: make_turn(1000, 2.0, 1500.0),
        TORCHSERVE: make_turn(2000, 8.0, 700.0),
        FP32: make_turn(2500, 2.1, 700.0, connections=(20, 12)),
        INT8: make_turn(3500, 1.5, 400.0),
    }
    rounds = {level: [one_round] * 3 for level in (1, 32, 128)}
    ceilings = {"fp32": [2500.0] * 3, "int8": [5000.0] * 3}
    values = {goal.title: goal.value for goal in judge_http(rounds, ceilings)}
    assert values[f"{FP32} / {TORCHSERVE}, requests/s at c=32"] == 1.25
    assert values[f"{FP32} / {PLAIN}, requests/s at c=32"] == 2.5
    assert values[f"{INT8} / {PLAIN} fp32, requests/s at c=128"] == 3.5
    assert values[f"{FP32} / {PLAIN}, p50 at c=1"] == pytest.approx(1.05)
    overhead = values[f"{FP32} / (HTTP floor + engine ceiling), CPU per request at c=128"]
    assert overhead == pytest.approx(700 / (150 + 400))
    overhead = values[f"{INT8} / (HTTP floor + engine ceiling), CPU per request at c=32"]
    assert overhead == pytest.approx(400 / (150 + 200))
    assert values[f"{FP32}, connections of the idlest / the busiest worker at c=32"] == 0.6


def test_a_peer_that_was_left_out_is_no_goal() -> None:
    http = make_results()["http"]
    titles = [goal.title for goal in judge_http(http["rounds"], http["ceilings"])]
    assert any(PLAIN in title for title in titles)
    assert not any(TORCHSERVE in title for title in titles)


def test_overload_without_sheds_is_not_judged_by_them() -> None:
    found = {
        "goodput_share": 0.95,
        "num_shed": 0,
        "shed_ms": {"p50": None},
        "latency_ms": {"p99": 900.0},
        "rss_start_bytes": 100,
        "rss_end_bytes": 105,
    }
    assert [goal.is_met for goal in judge_overload("x", found)] == [True, True, True]
    shed = found | {"num_shed": 5, "shed_ms": {"p50": 80.0}}
    assert [goal.is_met for goal in judge_overload("x", shed)] == [True, False, True, True]


def test_translation_has_to_keep_more_of_its_maximum() -> None:
    found = {
        "goodput_share": 0.87,
        "num_shed": 0,
        "latency_ms": {"p99": 1200.0},
        "rss_start_bytes": 100,
        "rss_end_bytes": 130,
    }
    assert [goal.is_met for goal in judge_overload(FP32, found)] == [True, False, False]
    assert [goal.is_met for goal in judge_overload("translation int8", found)] == [False] * 3


def test_translation_is_judged_by_tokens_and_short_sentences() -> None:
    rounds = make_results()["translation"]["rounds"]["int8, greedy"]
    tokens, short = judge_translation("int8, greedy", rounds)
    assert (tokens.value, short.value) == (2.0, 5.0)


def test_engines_are_compared_at_the_best_of_each_by_mix() -> None:
    figures = {
        f"{OURS}|mixed|2x1|16": [10.0, 12.0, 11.0],
        f"{OURS}|mixed|2x1|64": [30.0, 20.0, 10.0],
        f"{PEER}|mixed|2x1|16": [16.0, 16.0, 90.0],
        f"{PEER}|mixed|1x2|64": [8.0, 9.0, 7.0],
        f"{OURS}|one length|2x1|64": [9.0],
        f"{PEER}|one length|2x1|64": [10.0],
    }

    mixed, same = judge_peer(figures)

    assert (mixed.value, mixed.is_met) == (1.25, True)
    assert (same.value, same.is_met) == (0.9, False)


def test_goals_are_those_of_the_parts_that_were_run() -> None:
    results = make_results()
    titles = [goal.title for goal in find_goals({"translation": results["translation"]})]
    assert len(titles) == 2
    assert len(find_goals(results)) > 4
    assert find_goals({}) == []
