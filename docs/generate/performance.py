"""What `make bench` and `make load` measured, from the results files in git."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docs.generate.tables import format_cell, format_table

BENCH = "loadtests/results/reference.json"
HTTP = "loadtests/results/reference.http.json"
OVERLOAD = "loadtests/results/reference.overload.json"
PEER = "loadtests/results/reference.peer.json"
TOPOLOGY = "loadtests/results/reference.topology.json"
LOAD = "loadtests/results/reference.load.json"


def read_results(root: Path, path: str) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((root / path).read_text(encoding="utf-8"))
    return results


def name_source(path: str, about: Mapping[str, Any]) -> str:
    """Where the figures come from, to stand below a table."""
    machine = f"{about['num_cpus']} CPUs ({about['cpu_model']})"
    return f"\n\nSource: `{path}`, {about['date'][:10]}, commit `{about['commit']}`, {machine}."


def describe_http(root: Path) -> str:
    """Requests per second and what they cost, by server and number of connections."""
    results = read_results(root, HTTP)
    summary = results["http"]["summary"]
    levels = list(next(iter(summary.values())))
    busy = levels[-2:]
    rows = [
        [
            name,
            *(float(found[level]["requests_per_second"]) for level in levels),
            *(float(found[level]["cpu_us"]) for level in busy),
            "/".join(map(str, found[busy[0]]["connections"])),
        ]
        for name, found in summary.items()
    ]
    columns = ["requests per second", *(f"c={level}" for level in levels)]
    columns += [f"CPU µs per request, c={level}" for level in busy]
    columns.append(f"connections by process, at worst, c={busy[0]}")
    others = max(each["other_cpus"] for found in summary.values() for each in found.values())
    said = f" Other programs took up to {others:.2f} of the CPUs meanwhile."
    return format_table(columns, rows) + name_source(HTTP, results["about"]) + said


def describe_latency(root: Path) -> str:
    """Median and 99th percentile by server and number of connections."""
    results = read_results(root, HTTP)
    summary = results["http"]["summary"]
    levels = list(next(iter(summary.values())))
    rows = [
        [
            name,
            *(
                " / ".join(format_cell(found[level][key]) for key in ("p50_ms", "p99_ms"))
                for level in levels
            ),
        ]
        for name, found in summary.items()
    ]
    columns = ("p50 / p99, ms", *(f"c={level}" for level in levels))
    return format_table(columns, rows) + name_source(HTTP, results["about"])


def describe_topologies(root: Path) -> str:
    """Classification by topology, number of processes that take requests, and connections."""
    results = read_results(root, TOPOLOGY)
    keys = {
        "requests/s": "requests_per_second",
        "p50 ms": "p50_ms",
        "p99 ms": "p99_ms",
        "CPU µs per request": "cpu_us",
        "rows per batch": "rows_per_batch",
    }
    rows = []
    for precision in ("fp32", "int8"):
        found = results["topology"][precision]
        for level in next(iter(found["summary"].values())):
            rows += [
                [
                    f"{precision}, c={level}",
                    name,
                    *(float(levels[level][key]) for key in keys.values()),
                ]
                for name, levels in found["summary"].items()
            ]
    table = format_table(("precision, connections", "topology", *keys), rows)
    return table + name_source(TOPOLOGY, results["about"])


def describe_topology_translation(root: Path) -> str:
    """Translation by topology, and memory with the translator alone."""
    results = read_results(root, TOPOLOGY)
    found = results["topology"]["translation"]
    keys = {"requests/s": "requests_per_second", "p50 ms": "p50_ms", "p99 ms": "p99_ms"}
    rows = [
        [
            name,
            *(float(each[key]) for key in keys.values()),
            found["pss_bytes"][name] / 2**20,
        ]
        for name, each in found["summary"].items()
    ]
    table = format_table(("topology", *keys, "memory, MiB"), rows)
    return table + name_source(TOPOLOGY, results["about"])


def describe_translation(root: Path) -> str:
    """Continuous decoding against static batches of the same engine."""
    results = read_results(root, BENCH)
    keys = {
        "output tokens/s": "tokens_per_second",
        "requests/s": "requests_per_second",
        "p50 ms": "p50_ms",
        "p99 ms": "p99_ms",
        "p50 ms of short sentences among long ones": "short_p50_ms",
    }
    rows = [
        [title, mode, *(float(found[key]) for key in keys.values())]
        for title, modes in results["translation"]["summary"].items()
        for mode, found in modes.items()
    ]
    table = format_table(("precision, search", "batches", *keys), rows)
    return table + name_source(BENCH, results["about"])


def describe_goals(root: Path) -> str:
    """Every goal with its figure, met or not; one that several files have is the first one's."""
    files = {path: read_results(root, path) for path in (HTTP, OVERLOAD, PEER, BENCH)}
    found: dict[str, tuple[Mapping[str, Any], str]] = {}
    for path, results in files.items():
        for goal in results["goals"]:
            found.setdefault(goal["title"], (goal, Path(path).name))
    rows = [
        [
            title,
            float(goal["value"]),
            f"{'at least' if goal['is_floor'] else 'at most'} {goal['goal']:g}",
            "yes" if goal["is_met"] else "no",
            source,
        ]
        for title, (goal, source) in found.items()
    ]
    num_met = sum(goal["is_met"] for goal, _ in found.values())
    said = f"{num_met} of {len(found)} goals are met.\n\n"
    sources = "".join(name_source(path, results["about"]) for path, results in files.items())
    return said + format_table(("figure", "measured", "goal", "met", "in"), rows) + sources


def describe_load(root: Path) -> str:
    """A row per step of the load test, then what its knee means for capacity."""
    results = read_results(root, LOAD)
    steps = results["steps"]
    rows = [describe_step(step, index == results["knee"]) for index, step in enumerate(steps)]
    columns = ["offered/s", "answered/s", "errors", "p50 ms", "p99 ms", "queue mean ms"]
    columns += ["server CPUs", "client CPUs", "CPU ms/request", ""]
    parts = [format_table(columns, rows) + name_source(LOAD, results["about"])]
    if results["knee"] is not None:
        parts.append(describe_knee(steps[results["knee"]]))
    return "\n\n".join(parts)


def describe_step(step: Mapping[str, Any], is_knee: bool) -> list[object]:
    latency, queue = step["times"]["latency"], step["times"]["queue"]
    server, client = step.get("server_cpus"), step.get("client_cpus")
    figures = [step["offered"], step["throughput"], step["errors"], latency["p50"], latency["p99"]]
    figures += [queue["mean"], server, client, step.get("cpu_ms")]
    return [*figures, "knee" if is_knee else ""]


def describe_knee(step: Mapping[str, Any]) -> str:
    said = f"At the knee the service answered {step['throughput']:.0f} requests per second"
    if step.get("server_cpus"):
        per_core = step["throughput"] / step["server_cpus"]
        said += f" with {step['server_cpus']:.2f} CPUs, {per_core:.0f} per core"
    return said + "."


def describe_costs(root: Path) -> str:
    """What a request of each kind costs, from runs of one kind at a time."""
    results = read_results(root, LOAD)
    rows = [
        [kind, float(cost["throughput"]), float(cost["cpu_ms"]), float(cost["per_core"])]
        for kind, cost in results["costs"].items()
    ]
    columns = ("kind", "answered/s", "CPU ms/request", "requests/s per core")
    return format_table(columns, rows) + name_source(LOAD, results["about"])
