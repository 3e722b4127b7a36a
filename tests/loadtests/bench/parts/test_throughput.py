from loadtests.bench.parts.throughput import rotate, summarize
from tests.loadtests.samples import FP32, make_turn


def test_every_server_comes_first_in_some_round() -> None:
    names = ["a", "b", "c"]
    assert [rotate(names, index)[0] for index in range(4)] == ["a", "b", "c", "a"]


def test_a_summary_has_medians_and_the_worst_spread_of_connections() -> None:
    spreads = [(16, 16), (20, 12), (17, 15)]
    turns = [
        {FP32: make_turn(rate, 1.0, 100.0, connections=spread)}
        for rate, spread in zip((100, 300, 200), spreads, strict=True)
    ]
    found = summarize({32: turns})[FP32][32]
    assert found["requests_per_second"] == 200
    assert found["connections"] == (20, 12)


def test_balance_is_nothing_without_connections() -> None:
    assert make_turn(1, 1.0, 1.0, connections=()).balance == 0.0
    assert make_turn(1, 1.0, 1.0, connections=(0,)).balance == 0.0
    assert make_turn(1, 1.0, 1.0, connections=(20, 16)).balance == 0.8
