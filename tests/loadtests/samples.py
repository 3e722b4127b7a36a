"""Results as a run leaves them, small and made up."""

from typing import Any

from loadtests.bench.contestants.servers import FLOOR, PLAIN, TORCHSERVE, ours_name
from loadtests.bench.parts.open_load import summarize_open
from loadtests.bench.parts.throughput import Turn, summarize
from loadtests.bench.parts.translation import (
    CONTINUOUS,
    STATIC,
    STATIC_DROPPING,
    summarize_translation,
)
from loadtests.clients.wrk import ClosedLoop

FP32, INT8 = ours_name("fp32"), ours_name("int8")
CEILINGS = {"fp32": [2500.0], "int8": [6250.0]}
__all__ = ["FLOOR", "FP32", "INT8", "PLAIN", "TORCHSERVE", "make_results", "make_turn"]


def make_turn(
    rate: int,
    p50_ms: float,
    cpu_us: float,
    other_cpus: float = 0.0,
    connections: tuple[int, ...] = (16, 16),
) -> Turn:
    loop = ClosedLoop(rate, 1.0, p50_ms, 2 * p50_ms, 3 * p50_ms, 0)
    return Turn(loop, cpu_us, other_cpus, connections)


def make_results() -> dict[str, Any]:
    turns = {
        FLOOR: make_turn(6000, 1.0, 150.0),
        PLAIN: make_turn(1000, 2.0, 1500.0, other_cpus=0.25),
        FP32: make_turn(2000, 2.0, 700.0),
        INT8: make_turn(3000, 1.5, 400.0),
    }
    rounds = {level: [turns] for level in (1, 32, 128)}
    open_rounds = [{name: make_open(index) for index, name in enumerate((PLAIN, FP32))}]
    translated = {
        "int8, greedy": [
            {
                CONTINUOUS: make_load(2000, 10),
                STATIC: make_load(1000, 50),
                STATIC_DROPPING: make_load(1500, 40),
            }
        ]
    }
    return {
        "about": {"cpu_model": "a processor", "num_cpus": 2, "date": "2025-01-01"},
        "engine": {
            "num_texts": 8,
            "batch_size": {"fp32|all sorted|1": [900.0], "fp32|all sorted|32": [2800.0]},
            "order": {"fp32|arrival order": [1000.0], "fp32|all sorted": [2800.0]},
            "padding": {"arrival order": 2.5, "all sorted": 1.0},
            "waiting": {"fp32|1": [900.0], "fp32|32": [2500.0]},
            "parallel": {"fp32|1x1|32": [2800.0], "fp32|2x1|32": [5000.0]},
        },
        "decoder": {
            "num_sentences": 8,
            "rows": {"int8|mixed|1": [800.0], "int8|mixed|16": [4000.0]},
            "parallel": {"int8|1x1|1": [800.0], "int8|2x1|1": [1500.0]},
        },
        "http": {"rounds": rounds, "ceilings": CEILINGS, "summary": summarize(rounds)},
        "open": {"rounds": open_rounds, "summary": summarize_open(open_rounds)},
        "overload": {FP32: make_overload()},
        "translation": {
            "rounds": translated,
            "summary": {title: summarize_translation(each) for title, each in translated.items()},
        },
    }


def make_open(index: int) -> dict[str, Any]:
    latencies = {"p50": 2.0 + index, "p99": 9.0, "p99.9": 20.0, "max": 30.0}
    return {
        "offered_per_second": 600.0,
        "latency_ms": latencies,
        "late_ms": latencies,
        "client_cpu_us": 30.0,
        "num_failures": 0,
        "num_shed": 0,
    }


def make_overload() -> dict[str, Any]:
    latencies = {"p50": 12.0, "p99": 20.0, "p99.9": 30.0, "max": 40.0}
    return {
        "maximum_per_second": 2000.0,
        "offered_per_second": 6000.0,
        "goodput_per_second": 1900.0,
        "goodput_share": 0.95,
        "timely_share": 0.94,
        "goodput_share_per_processor": 1.47,
        "client_processors": 0.3,
        "other_processors": 0.1,
        "maximum_cpu_us": 400.0,
        "maximum_processors": 1.7,
        "good_cpu_us": 420.0,
        "processors": 1.1,
        "num_shed": 80_000,
        "num_failures": 0,
        "statuses": {"200": 38_000, "429": 80_000},
        "shed_ms": latencies,
        "latency_ms": latencies,
        "late_ms": latencies,
        "rss_start_bytes": 2**27,
        "rss_end_bytes": 2**27,
        "rss_bytes": [2**27],
    }


def make_load(tokens_per_second: int, short_ms: int) -> dict[str, Any]:
    group = {
        "num_connections": 32,
        "num_requests": 100,
        "num_failures": 0,
        "requests_per_second": 50.0,
        "p50_ms": 300.0,
        "p99_ms": 900.0,
    }
    return {
        "mixed": {"groups": {"all": group}, "tokens_per_second": float(tokens_per_second)},
        "among_long": {
            "groups": {"long": group, "short": group | {"p50_ms": float(short_ms)}},
            "tokens_per_second": float(tokens_per_second),
        },
    }
