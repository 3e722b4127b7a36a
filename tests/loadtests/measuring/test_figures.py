import math

import pytest

from loadtests.measuring.figures import median, median_ratio, percentile


@pytest.mark.parametrize(
    ("percent", "expected"), [(1, 1.0), (50, 50.0), (99, 99.0), (99.9, 100.0), (100, 100.0)]
)
def test_percentile_is_one_of_the_values(percent: float, expected: float) -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert percentile(values, percent) == expected


def test_percentile_of_one_value_is_that_value() -> None:
    assert percentile([3.0], 50) == percentile([3.0], 99.9) == 3.0


def test_nothing_has_no_percentile_and_no_median() -> None:
    assert math.isnan(percentile([], 50))
    assert math.isnan(median([]))


def test_ratio_is_taken_within_each_round() -> None:
    # the machine was ten times slower in the last two rounds: medians of each would say 1.0
    rounds = [{"a": 200.0, "b": 100.0}, {"a": 20.0, "b": 10.0}, {"a": 22.0, "b": 10.0}]
    assert median_ratio(rounds, "a", "b", float) == 2.0


def test_rounds_without_both_contestants_do_not_count() -> None:
    rounds = [{"a": 6.0, "b": 2.0}, {"a": 1.0}, {"a": 1.0, "b": 0.0}]
    assert median_ratio(rounds, "a", "b", float) == 3.0
    assert math.isnan(median_ratio(rounds, "a", "c", float))
