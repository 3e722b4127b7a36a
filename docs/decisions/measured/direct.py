"""Measures what the direct way saves: `python docs/decisions/measured/direct.py`.

Servers of the same model with the direct way and without it, in int8 and float32, are measured in
turn by wrk at 1 to 128 connections; the others stand still meanwhile. Ratios are of neighbouring
turns. Prints the medians and writes them to direct.json beside itself.
"""

import os
import sys
from typing import Any

from docs.decisions.measured.report import write_report
from docs.decisions.measured.ways import PRECISIONS, measure_ways
from loadtests.bench.parts.throughput import Round
from loadtests.bench.plan import BenchPlan
from loadtests.measuring.figures import median, median_ratio
from service.cli import main as run_command
from service.repository.manifest import Precision
from service.server import uvicorn_server

PLAN = BenchPlan(("http",), num_rounds=8, seconds=1)
WAYS = ("direct", "endpoint")


def serve(way: str, arguments: list[str]) -> int:
    """`seqserve serve`, with the direct way or without it."""
    if way == "endpoint":
        vars(uvicorn_server)["DirectClassify"] = lambda _context: None
    return run_command(["serve", *arguments])


def compare(rounds: list[Round], precision: Precision) -> dict[str, Any]:
    """Medians of both ways at one number of connections, and their ratios."""
    direct, endpoint = (f"{way} {precision}" for way in WAYS)
    return {
        "requests_per_second": {
            "direct": median([each[direct].loop.requests_per_second for each in rounds]),
            "endpoint": median([each[endpoint].loop.requests_per_second for each in rounds]),
            "ratio": median_ratio(
                rounds, direct, endpoint, lambda turn: turn.loop.requests_per_second
            ),
        },
        "cpu_us": {
            "direct": median([each[direct].cpu_us for each in rounds]),
            "endpoint": median([each[endpoint].cpu_us for each in rounds]),
            "ratio": median_ratio(rounds, direct, endpoint, lambda turn: turn.cpu_us),
        },
        "p50_ms": {
            "direct": median([each[direct].loop.p50_ms for each in rounds]),
            "endpoint": median([each[endpoint].loop.p50_ms for each in rounds]),
        },
        "other_cpus": max(turn.other_cpus for each in rounds for turn in each.values()),
    }


def measure() -> dict[str, object]:
    rounds = measure_ways(__file__, WAYS, PLAN)
    return {
        "num_cpus": os.cpu_count(),
        "seconds": PLAN.seconds,
        "rounds": PLAN.num_rounds,
        "connections": {
            level: {precision: compare(found, precision) for precision in PRECISIONS}
            for level, found in rounds.items()
        },
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        sys.exit(serve(sys.argv[2], sys.argv[3:]))
    write_report(__file__, measure)
