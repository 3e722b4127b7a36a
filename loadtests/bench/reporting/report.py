"""What the benchmark's parts measured as tables on the terminal, and what it ran on."""

import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.bench.parts.topologies import list_rows
from loadtests.measuring.figures import median
from loadtests.measuring.machine import find_own_versions, read_commit, read_cpu_model
from loadtests.measuring.tables import format_table

PACKAGES = (
    *("seqserve", "onnxruntime", "onnxruntime-gpu", "tokenizers", "numpy"),
    *("fastapi", "starlette", "uvicorn", "uvloop", "httptools"),
)
PEER_PACKAGES = (
    *("litserve", "torchserve", "torch", "ctranslate2"),
    *("onnxruntime", "tokenizers", "numpy", "fastapi", "uvicorn"),
)
LIST_VERSIONS = (
    "import json, sys\nfrom importlib import metadata\nfound = {}\n"
    "for name in sys.argv[1:]:\n"
    "    try: found[name] = metadata.version(name)\n"
    "    except metadata.PackageNotFoundError: pass\n"
    "print(json.dumps(found))"
)
# Processors that other programs may take before the figures are called disturbed.
MAX_OTHER_CPUS = 0.15


def describe_run(num_cpus: int, pythons: Mapping[str, Path]) -> dict[str, Any]:
    """Machine, versions, command and date."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["loadtests.bench.run", *sys.argv[1:]]),
        "commit": read_commit(),
        "device": "cpu",
        "cpu_model": read_cpu_model(),
        "num_cpus": num_cpus,
        "load_average": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": find_own_versions(PACKAGES),
        "peer_versions": {
            name: find_versions(python, PEER_PACKAGES) for name, python in pythons.items()
        },
    }


def find_versions(python: Path, packages: Sequence[str]) -> dict[str, str]:
    """Versions in the environment of another interpreter."""
    done = subprocess.run(
        [str(python), "-c", LIST_VERSIONS, *packages], capture_output=True, text=True, check=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def pivot(figures: Mapping[str, Sequence[float]]) -> tuple[list[str], list[list[object]]]:
    """Keys `a|b|column` -> a row for each `a, b` with the median of each column."""
    rows: dict[str, dict[str, float]] = {}
    for key, values in figures.items():
        label, _, column = key.rpartition("|")
        rows.setdefault(label.replace("|", ", "), {})[column] = median(values)
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    return ["", *columns], [
        [label, *(row.get(column, math.nan) for column in columns)] for label, row in rows.items()
    ]


def print_section(title: str, *parts: str) -> None:
    print(f"\n## {title}\n")
    for part in parts:
        print(part + "\n", flush=True)


def print_engine(results: Mapping[str, Any]) -> None:
    order = {name: median(values) for name, values in results["order"].items()}
    padding = ", ".join(f"{name} {value:.2f}" for name, value in results["padding"].items())
    print_section(
        "Engine alone: classifier 256/256, texts per second",
        "One thread, by batch size and length mix:",
        format_table(*pivot(results["batch_size"])),
        f"One thread, batches of 32; padded tokens per token: {padding}.",
        format_table(*pivot({name: [value] for name, value in order.items()})),
        "One thread, in the service's own batches, by queue depth:",
        format_table(*pivot(results["waiting"])),
        "Instances x threads by batch size, sorted:",
        format_table(*pivot(results["parallel"])),
    )


def print_decoder(results: Mapping[str, Any]) -> None:
    print_section(
        "Engine alone: translation-en-de, output tokens per second, greedy",
        "One thread, by rows and length mix:",
        format_table(*pivot(results["rows"])),
        "Instances x threads by rows of each instance, mixed lengths:",
        format_table(*pivot(results["parallel"])),
    )


def print_peer(results: Mapping[str, Any]) -> None:
    print_section(
        "Engine alone against CTranslate2: output tokens per second, greedy, int8",
        f"Instances x threads and rows of each instance; {results['num_parameters']:,} parameters "
        f"against {results['peer_num_parameters']:,} of a Transformer:",
        format_table(*pivot(results["tokens_per_second"])),
    )


def print_http(summary: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> None:
    levels = list(next(iter(summary.values())))
    headings = ["", *(f"c={level}" for level in levels)]
    parts = []
    for title, key in (
        ("Requests per second", "requests_per_second"),
        ("p50, ms", "p50_ms"),
        ("p99, ms", "p99_ms"),
        ("Processor microseconds per request", "cpu_us"),
        ("Failures", "num_failures"),
        ("Processors busy with neither server nor client, at worst", "other_cpus"),
    ):
        rows = [[name, *(each[level][key] for level in levels)] for name, each in summary.items()]
        parts += [f"{title}:", format_table(headings, rows)]
    spread = [
        [name, *("/".join(map(str, each[level]["connections"])) for level in levels)]
        for name, each in summary.items()
    ]
    parts += ["Connections by worker, at worst:", format_table(headings, spread)]
    print_section("Over HTTP, closed loop", *parts)


def print_open(summary: Mapping[str, Mapping[str, float]], share: float) -> None:
    keys = list(next(iter(summary.values())))
    rows = [[name, *(each[key] for key in keys)] for name, each in summary.items()]
    print_section(
        f"Over HTTP, open loop at {share:.0%} of own maximum",
        "Milliseconds from when a request was due; late is how far the client was behind its plan.",
        format_table(["", *keys], rows),
    )


def print_overload(results: Mapping[str, Mapping[str, Any]]) -> None:
    rates = [
        [
            name,
            each["maximum_per_second"],
            each["offered_per_second"],
            each["goodput_per_second"],
            each["goodput_share"],
            each["timely_share"],
            each["goodput_share_per_processor"],
            each["num_shed"],
            each["num_failures"],
            " ".join(f"{status}:{count}" for status, count in each["statuses"].items()),
        ]
        for name, each in results.items()
    ]
    times = [
        [
            name,
            *(float(each["shed_ms"][key] or math.nan) for key in ("p50", "p99")),
            *(float(each["latency_ms"][key] or math.nan) for key in ("p50", "p99")),
            float(each["late_ms"]["p99"] or math.nan),
        ]
        for name, each in results.items()
    ]
    costs = [
        [
            name,
            each["maximum_processors"],
            *(each[f"{prefix}processors"] for prefix in ("", "client_", "other_")),
            each["maximum_cpu_us"],
            each["good_cpu_us"],
            each["rss_start_bytes"] / 2**20,
            each["rss_end_bytes"] / 2**20,
            max(each["rss_bytes"], default=0) / 2**20,
        ]
        for name, each in results.items()
    ]
    rate_headings = ["requests/s", "maximum", "offered", "goodput", "share", "share in 1 s"]
    rate_headings += ["share at equal processors", "shed", "failed", "statuses"]
    time_headings = ["ms", "shed p50", "shed p99", "ok p50", "ok p99", "late p99"]
    cost_headings = ["processors", "server at maximum", "server now", "client", "others"]
    cost_headings += ["us per answer at maximum", "now", "MiB start", "end", "most"]
    print_section(
        "Overload, open loop at three times own maximum",
        format_table(rate_headings, rates),
        format_table(time_headings, times),
        format_table(cost_headings, costs),
    )


def print_translation(summary: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    parts = []
    for title, servers in summary.items():
        keys = list(next(iter(servers.values())))
        rows = [[name, *(each[key] for key in keys)] for name, each in servers.items()]
        parts += [f"{title}:", format_table(["", *keys], rows)]
    print_section("Translation, 32 connections", *parts)


def print_topologies(results: Mapping[str, Any]) -> None:
    headings = ["", "requests/s", "p50 ms", "p99 ms", "CPU us per request", "rows per batch", "MiB"]
    parts = []
    for precision, found in results.items():
        if precision == "translation":
            continue
        for level in next(iter(found["summary"].values())):
            parts += [
                f"Classification in {precision}, {level} connections:",
                format_table(headings, list_rows(found, level)),
            ]
    summary = results["translation"]["summary"]
    keys = list(next(iter(summary.values())))
    rows = [[name, *(each[key] for key in keys)] for name, each in summary.items()]
    parts += ["Translation, 32 connections:", format_table(["", *keys], rows)]
    print_section("Topologies, by processes that take requests", *parts)


def print_generation(results: Mapping[str, Any]) -> None:
    print_section(
        f"Engine alone: {results['model']}, characters per second, temperature 0.8",
        "One thread, by sequences at a time, mixed lengths:",
        format_table(*pivot(results["rows"])),
    )


def print_goals(results: Mapping[str, Any]) -> None:
    rows = [
        [
            goal.title,
            goal.value,
            f"{'>=' if goal.is_floor else '<='} {goal.goal:g}",
            "yes" if goal.is_met else "no",
        ]
        for goal in results["goals"]
    ]
    if rows:
        table = format_table(["", "value", "goal", "met"], rows)
        print_section("Ratios, taken in each round, median of the rounds", table)
    if (other_cpus := find_other_cpus(results)) > MAX_OTHER_CPUS:
        print(
            f"Other programs took up to {other_cpus:.2f} processors meanwhile: do not trust these "
            "figures, measure again on a quiet machine.\n"
        )


def find_other_cpus(results: Mapping[str, Any]) -> float:
    """The most that other programs took in any turn over HTTP, in processors."""
    summary = results.get("http", {}).get("summary", {})
    return max(
        (each["other_cpus"] for levels in summary.values() for each in levels.values()), default=0.0
    )
