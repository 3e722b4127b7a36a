"""Small arithmetic over measurements: percentiles, medians of rounds, ratios taken per round."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

R = TypeVar("R")


def percentile(values: Sequence[float], percent: float) -> float:
    """Returns the smallest value that `percent` % of all do not exceed; nan if there are none.

    Args:
        values: in any order.
        percent: above 0, at most 100.
    """
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else math.nan


def median_ratio(
    rounds: Sequence[Mapping[str, R]], over: str, under: str, read: Callable[[R], float]
) -> float:
    """Median over the rounds of one contestant's figure divided by another's in the same round.

    Dividing within a round cancels whatever slowed the machine down for both; nan if no round has
    both.
    """
    return median(
        [
            read(each[over]) / read(each[under])
            for each in rounds
            if over in each and under in each and read(each[under])
        ]
    )
