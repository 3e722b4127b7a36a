"""Measures admission: `python docs/decisions/measured/admission.py`, in processor time.

The check of a request that is admitted, that of one that is refused, and noting a batch.
"""

import contextlib
import statistics
import time
from collections.abc import Callable

from docs.decisions.measured.report import write_report
from service.engine.batch import TokenSequence
from service.engine.scheduling.admission import (
    QueueLimits,
    QueueState,
    ServiceRate,
    check_admission,
)
from service.errors import Overloaded

CALLS, ROUNDS = 20_000, 9
LIMITS = QueueLimits(max_sequences=1000, max_tokens=100_000, max_wait_seconds=0.5)


def time_each(function: Callable[[int], object]) -> float:
    """Microseconds of processor time per call, the median of some rounds."""
    found = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for number in range(CALLS):
            function(number)
        found.append(1e6 * (time.process_time() - started) / CALLS)
    return round(statistics.median(found), 2)


def check(state: QueueState) -> Callable[[int], object]:
    sequence = TokenSequence([1] * 30, 0.0, 60.0)

    def call(_: int) -> None:
        with contextlib.suppress(Overloaded):
            check_admission("m", [sequence], state, LIMITS, 0.0)

    return call


def measure() -> dict[str, object]:
    rate = ServiceRate()
    return {
        "us": {
            "a request that is admitted": time_each(check(QueueState(10, 300, 0.01, 0.0))),
            "a request that is refused": time_each(check(QueueState(1000, 30_000, 2.0, 2.0))),
            "noting a batch": time_each(
                lambda number: rate.observe(300, 0.001 * number, is_backlogged=True)
            ),
        },
    }


if __name__ == "__main__":
    write_report(__file__, measure)
