"""A run as figures: the figures of each step, the knee, the capacity of the service."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.load.histogram import Histogram
from loadtests.load.recorder import FIRST, LATE, LATENCY, SHED, STAGES, Cell, Recorder
from loadtests.load.slo import Slo, Verdict, judge
from loadtests.measuring.figures import median

PERCENTS = (50, 90, 95, 99, 99.9)
SATURATED_SHARE = 0.95
"""A step that gives less of what it was offered is beyond what the service can do."""


@dataclass(frozen=True)
class Span:
    """A step as it was really run.

    Attributes:
        start, end: seconds since the epoch.
    """

    load: int
    start: float
    end: float


def describe_steps(
    recorder: Recorder, spans: Sequence[Span], settle: float
) -> list[dict[str, Any]]:
    """Figures of each step.

    Args:
        recorder: of the whole run.
        spans: of the steps, in order.
        settle: share at the start of each step that is left out, since it still shows the last one.
    """
    found = []
    for span in spans:
        start = span.start + settle * (span.end - span.start)
        seconds = count_seconds(start, span.end, recorder.seconds_per_cell)
        if not seconds:
            continue
        starts = recorder.list_starts(start, span.end, is_whole=True)
        figures = describe_cell(recorder.sum_up(starts), seconds)
        kinds = {
            kind: describe_cell(recorder.sum_up(starts, kind), seconds) for kind in recorder.kinds
        }
        began = spans[0].start
        bounds = {"start": start - began, "end": span.end - began, "seconds": seconds}
        found.append({"load": span.load} | bounds | figures | {"kinds": kinds})
    return found


def count_seconds(start: float, end: float, seconds_per_cell: int) -> int:
    """Those in cells that lie whole between two times."""
    first, last = math.ceil(start / seconds_per_cell), math.floor(end / seconds_per_cell)
    return max(0, last - first) * seconds_per_cell


def describe_cell(cell: Cell, seconds: float) -> dict[str, Any]:
    """Rates per second, shares of 1, times in milliseconds."""
    num_bad = cell.num_due - cell.num_ok
    return {
        "num_requests": cell.num_due,
        "offered": cell.num_due / seconds,
        "throughput": cell.num_answers / seconds,
        "errors": num_bad / cell.num_due if cell.num_due else 0.0,
        "shed": cell.outcomes[SHED] / cell.num_due if cell.num_due else 0.0,
        "num_unanswered": cell.num_unanswered,
        "outcomes": dict(cell.outcomes),
        "times": {
            name: describe_times(cell.time(name)) for name in (LATENCY, *STAGES, FIRST, LATE)
        },
    }


def describe_times(times: Histogram) -> dict[str, float]:
    found = {f"p{percent:g}": times.percentile(percent) for percent in PERCENTS}
    return found | {"mean": times.mean_ms, "max": times.max_ms if times.count else math.nan}


def find_knee(steps: Sequence[Mapping[str, Any]]) -> int | None:
    """Index of the step with the most power: throughput divided by mean latency.

    Below it more load costs little waiting, above it waiting grows faster than throughput
    (Kleinrock, Power and deterministic rules of thumb for probabilistic problems in computer
    communications, ICC 1979). None where fewer than three steps make no curve.
    """
    powers = [step["throughput"] / step["times"][LATENCY]["mean"] for step in steps]
    known = [index for index, power in enumerate(powers) if math.isfinite(power)]
    return max(known, key=powers.__getitem__) if len(known) >= 3 else None


def find_saturation(steps: Sequence[Mapping[str, Any]]) -> int | None:
    """Index of the first step that gave clearly less than it was offered; None: all kept up."""
    for index, step in enumerate(steps):
        if step["throughput"] < SATURATED_SHARE * step["offered"]:
            return index
    return None


def find_drift(steps: Sequence[Mapping[str, Any]]) -> float | None:
    """How p99 at the end of a constant load compares with that at its start: medians of thirds.

    None where fewer than three steps show no drift.
    """
    latencies = [step["times"][LATENCY]["p99"] for step in steps]
    third = len(latencies) // 3
    return median(latencies[-third:]) / median(latencies[:third]) if third else None


def judge_run(slo: Slo, recorder: Recorder, spans: Sequence[Span]) -> list[Verdict]:
    """Whether the run met its objectives, over all steps that count taken together."""
    counted = [span for span in spans if slo.max_load is None or span.load <= slo.max_load]
    starts = set[int]()
    for span in counted:
        starts |= recorder.list_starts(span.start, span.end, is_whole=False)
    return judge_cells(slo, recorder, starts, sum(span.end - span.start for span in counted))


def find_capacity(slo: Slo, recorder: Recorder, spans: Sequence[Span]) -> int | None:
    """The highest load that met the objectives, as all lower ones did; None: not even the least.

    Each step is judged on its own.
    """
    capacity = None
    for span in sorted(spans, key=lambda span: span.load):
        starts = recorder.list_starts(span.start, span.end, is_whole=True)
        seconds = count_seconds(span.start, span.end, recorder.seconds_per_cell)
        if not all(verdict.is_met for verdict in judge_cells(slo, recorder, starts, seconds)):
            break
        capacity = span.load
    return capacity


def judge_cells(slo: Slo, recorder: Recorder, starts: set[int], seconds: float) -> list[Verdict]:
    kinds: list[str | None] = [None, *recorder.kinds]
    return judge(slo, {kind: recorder.sum_up(starts, kind) for kind in kinds}, seconds)


def describe_seconds(recorder: Recorder, spans: Sequence[Span]) -> list[dict[str, float]]:
    """The run in time: offered and answered requests per second, and the slowest of them."""
    if not spans:
        return []
    width, found = recorder.seconds_per_cell, []
    first = math.ceil(spans[0].start / width) * width
    for start in range(first, int(spans[-1].end), width):
        cell = recorder.sum_up({start})
        times = cell.time(LATENCY)
        found.append(
            {
                "second": start - first,
                "offered": cell.num_due / width,
                "throughput": cell.num_answers / width,
                "p50": times.percentile(50),
                "p99": times.percentile(99),
            }
        )
    return found
