"""A whole server per process against front ends of one engine process."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from loadtests.bench.contestants.lineup import bring_up
from loadtests.bench.contestants.servers import PATIENCE, start_ours
from loadtests.bench.parts.decoder import find_translator
from loadtests.bench.parts.throughput import (
    Round,
    measure_turn,
    rotate,
    summarize,
    warm_up,
)
from loadtests.bench.parts.translation import Contest, link_translator, run_load, write_bodies
from loadtests.bench.plan import BenchContext
from loadtests.measuring.figures import median
from loadtests.measuring.processes import OPENER, Server, enlist

TOPOLOGIES = ("replicas", "engine")
GREEDY = Contest("int8", 1)
NUM_CONNECTIONS = 32
# Until a process has told the others what it counted.
PUBLISH_SECONDS = 1.2


def measure_topologies(context: BenchContext) -> Iterator[tuple[str, dict[str, Any]]]:
    """Classification by precision, in closed loop, and translation; each as soon as it is known."""
    for shape in context.shapes.values():
        print(f"  classification, {shape.precision}", flush=True)
        with ExitStack() as stack:
            servers = start_all(shape.models_dir, shape.precision, context, stack)
            for server in servers:
                bring_up(server, context)
            yield shape.precision, measure_classification(servers, context)
    print(f"  translation, {GREEDY.title}", flush=True)
    with ExitStack() as stack:
        models_dir = link_translator(find_translator(), context.folder / "topologies")
        servers = start_all(models_dir, GREEDY.precision, context, stack)
        for server in servers:
            server.wait_ready()
            server.pause()
        yield "translation", measure_translations(servers, context)


def start_all(
    models_dir: Path, precision: str, context: BenchContext, stack: ExitStack
) -> list[Server]:
    """Both topologies with each number of processes that take requests."""
    return [
        enlist(
            start_ours(
                models_dir,
                precision,
                context.folder,
                f"{topology} {number}",
                ("--topology", topology, "--workers", str(number), *PATIENCE),
            ),
            stack,
        )
        for number in context.plan.num_front_ends
        for topology in TOPOLOGIES
    ]


def measure_classification(servers: Sequence[Server], context: BenchContext) -> dict[str, Any]:
    """Rounds by number of connections; rows per batch in the last one; memory after all."""
    plan = context.plan
    rounds: dict[int, list[Round]] = {level: [] for level in plan.levels}
    rows: dict[str, dict[int, float]] = {server.name: {} for server in servers}
    for index in range(plan.num_rounds):
        is_last = index == plan.num_rounds - 1
        for level in plan.levels:
            print(f"    round {index + 1} of {plan.num_rounds}, {level} connections", flush=True)
            turns: Round = {}
            for server in rotate(servers, index):
                server.resume()
                if index == 0:
                    warm_up(server, context, level)
                before = read_batches(server) if is_last else (0.0, 0.0)
                turns[server.name] = measure_turn(server, context.bodies, level, plan.seconds)
                if is_last:
                    rows[server.name][level] = find_rows_per_batch(server, before)
                server.pause()
            rounds[level].append(turns)
    summary = summarize(rounds)
    for name, levels in summary.items():
        for level, figures in levels.items():
            figures["rows_per_batch"] = rows[name][level]
    memory = {server.name: server.pss_bytes() for server in servers}
    return {"rounds": rounds, "summary": summary, "pss_bytes": memory}


def measure_translations(servers: Sequence[Server], context: BenchContext) -> dict[str, Any]:
    """Sentences of mixed lengths in closed loop; medians of the rounds."""
    mixed, _, _ = write_bodies(GREEDY, context)
    rounds: list[dict[str, Any]] = []
    for index in range(context.plan.num_rounds):
        found: dict[str, Any] = {}
        for server in rotate(servers, index):
            server.resume()
            group = f"all:{NUM_CONNECTIONS}:{mixed}"
            found[server.name] = run_load(server, [group], context.plan)["groups"]["all"]
            server.pause()
        rounds.append(found)
    keys = ("requests_per_second", "p50_ms", "p99_ms", "num_failures")
    summary = {
        server.name: {
            key: median([read_figure(each[server.name], key) for each in rounds]) for key in keys
        }
        for server in servers
    }
    memory = {server.name: server.pss_bytes() for server in servers}
    return {"rounds": rounds, "summary": summary, "pss_bytes": memory}


def read_figure(found: Mapping[str, Any], key: str) -> float:
    """A figure of the client; a latency is infinite if nothing was answered in time."""
    value = found[key]
    return float("inf") if value is None else float(value)


def find_rows_per_batch(server: Server, before: tuple[float, float]) -> float:
    """Rows of a batch since `before`, on average."""
    time.sleep(PUBLISH_SECONDS)
    num_batches, num_rows = read_batches(server)
    return (num_rows - before[1]) / max(1.0, num_batches - before[0])


def read_batches(server: Server) -> tuple[float, float]:
    """Batches so far, and their rows."""
    with OPENER.open(server.url("/metrics"), timeout=30) as response:
        return count_batches(response.read().decode())


def count_batches(metrics: str) -> tuple[float, float]:
    counts = {"seqserve_batch_rows_count": 0.0, "seqserve_batch_rows_sum": 0.0}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name in counts:
                counts[sample.name] += sample.value
    num_batches, num_rows = counts.values()
    return num_batches, num_rows


def list_rows(found: Mapping[str, Any], level: str | int) -> list[list[object]]:
    """A row per server at one number of connections, for tables."""
    return [
        [
            name,
            *(
                levels[level][key]
                for key in ("requests_per_second", "p50_ms", "p99_ms", "cpu_us", "rows_per_batch")
            ),
            found["pss_bytes"][name] / 2**20,
        ]
        for name, levels in found["summary"].items()
    ]
