"""Compares histograms: `python docs/decisions/measured/histogram.py`.

Ours and `hdrhistogram` with 1 µs to 1 h in two digits, in processor time and in bytes. Needs the
package hdrhistogram.
"""

import json
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from hdrh.histogram import HdrHistogram

from docs.decisions.measured.report import write_report
from loadtests.load.histogram import Histogram

VALUES, CALLS, ROUNDS, KEPT = 20, 2000, 9, 200
MAX_US = 3_600_000_000
RNG = random.Random(3)
MILLISECONDS = [RNG.lognormvariate(3, 1) for _ in range(VALUES)]


def fill_ours() -> Histogram:
    histogram = Histogram()
    for value in MILLISECONDS:
        histogram.add(value)
    return histogram


def fill_theirs() -> HdrHistogram:
    histogram = HdrHistogram(1, MAX_US, 2)
    for value in MILLISECONDS:
        histogram.record_value(round(1000 * value))
    return histogram


def time_each(function: Callable[[], object]) -> float:
    """Microseconds of processor time per call, the median of some rounds."""
    found = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(CALLS):
            function()
        found.append(1e6 * (time.process_time() - started) / CALLS)
    return round(statistics.median(found), 2)


def count_bytes(fill: Callable[[], object]) -> int:
    """Of one histogram in memory, the mean of some."""
    tracemalloc.start()
    kept = [fill() for _ in range(KEPT)]
    allocated, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return allocated // len(kept)


def measure_ours() -> dict[str, float]:
    histogram, other = fill_ours(), fill_ours()
    return {
        "bytes": count_bytes(fill_ours),
        "record_us": time_each(lambda: histogram.add(12.5)),
        "merge_us": time_each(lambda: histogram.merge(other)),
        "p99_us": time_each(lambda: other.percentile(99)),
        "message_bytes": len(json.dumps(other.pack(), separators=(",", ":"))),
    }


def measure_theirs() -> dict[str, float]:
    histogram: Any = fill_theirs()
    other: Any = fill_theirs()
    return {
        "bytes": count_bytes(fill_theirs),
        "record_us": time_each(lambda: histogram.record_value(12500)),
        "merge_us": time_each(lambda: histogram.add(other)),
        "p99_us": time_each(lambda: other.get_value_at_percentile(99)),
        "message_bytes": len(other.encode()),
    }


def measure() -> dict[str, object]:
    return {
        "values": VALUES,
        "ours": measure_ours(),
        "hdrhistogram": measure_theirs(),
    }


if __name__ == "__main__":
    write_report(__file__, measure)
