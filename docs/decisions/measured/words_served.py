"""Measures what remembered words save a server: `python docs/decisions/measured/words_served.py`.

Servers of the same model that encode texts word by word and as a whole, in int8 and float32, are
measured in turn by wrk; the others stand still meanwhile. Ratios are of neighbouring turns. Prints
the medians and writes them to words_served.json beside itself.
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
from service.text import tokenizer

PLAN = BenchPlan(("http",), num_rounds=5, seconds=1, levels=(32, 128))
WAYS = ("words", "whole")


def serve(way: str, arguments: list[str]) -> int:
    """`seqserve serve`, with remembered words or without them."""
    if way == "whole":
        vars(tokenizer)["reads_words_apart"] = lambda _backend: False
    return run_command(["serve", *arguments])


def compare(rounds: list[Round], precision: Precision) -> dict[str, Any]:
    """Medians of both ways at one number of connections, and their ratios."""
    words, whole = names = [f"{way} {precision}" for way in WAYS]
    cpu_us = {name: median([each[name].cpu_us for each in rounds]) for name in names}
    return {
        "cpu_us": cpu_us,
        "cpu_us_ratio": median_ratio(rounds, words, whole, lambda turn: turn.cpu_us),
        "requests_per_second_ratio": median_ratio(
            rounds, words, whole, lambda turn: turn.loop.requests_per_second
        ),
        "num_failures": sum(each[name].loop.num_failures for each in rounds for name in names),
    }


def measure() -> dict[str, object]:
    rounds = measure_ways(__file__, WAYS, PLAN)
    return {
        "num_cpus": os.cpu_count(),
        "other_cpus": max(
            turn.other_cpus for found in rounds.values() for each in found for turn in each.values()
        ),
        "connections": {
            level: {precision: compare(found, precision) for precision in PRECISIONS}
            for level, found in rounds.items()
        },
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        sys.exit(serve(sys.argv[2], sys.argv[3:]))
    write_report(__file__, measure)
