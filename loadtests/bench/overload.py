"""Overload: an open loop at three times the maximum, by `python -m loadtests.bench.overload`.

Finds the most requests per second that a server answers in a closed loop, offers three times as
many in an open loop, and prints what is left of the maximum, how long refusals and good answers
took, and what server and client took of processors and memory. Writes
loadtests/results/NAME.overload.json.

Both clients are Python, on the machine of the server, and cost about the same per request: three
times the requests take three times as much from the server's processors, whose share is therefore
stated, and beside the plain ratio there is one for equal processors. With --apart the server has
one half of the processors and its clients have the other, so that neither takes from the other.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtests.bench.contestants.servers import PATH, ours_name, start_ours
from loadtests.bench.parts.decoder import find_translator
from loadtests.bench.parts.open_load import OpenLoad, run_client
from loadtests.bench.parts.translation import CONTESTS, link_translator, write_bodies
from loadtests.bench.parts.translation import PATH as TRANSLATE_PATH
from loadtests.bench.plan import BenchContext, BenchPlan, make_context
from loadtests.bench.reporting.goals import find_goals
from loadtests.bench.reporting.report import print_goals, print_overload
from loadtests.measuring.machine import describe_machine
from loadtests.measuring.places import RESULTS, ROOT
from loadtests.measuring.processes import (
    Server,
    enlist,
    on_processors,
    raise_file_limit,
    read_busy_seconds,
)
from loadtests.measuring.tables import write_json

OVERLOAD = 3.0
WATCH_SECONDS = 0.5
CLOSED_LOOP = "loadtests.clients.closed_loop"
CLASSIFIERS, TRANSLATOR = ("fp32", "int8"), "translation int8"
WORKLOADS = (*map(ours_name, CLASSIFIERS), TRANSLATOR)


@dataclass(frozen=True)
class Workload:
    """What one server is asked.

    Attributes:
        models_dir: the models that it has.
        bodies: a file of them, one a line.
    """

    name: str
    models_dir: Path
    precision: str
    path: str
    bodies: Path


def make_workloads(context: BenchContext, names: Sequence[str]) -> list[Workload]:
    """Those of the names, in the order of `WORKLOADS`."""
    workloads = [
        Workload(ours_name(each), context.shapes[each].models_dir, each, PATH, context.bodies)
        for each in context.shapes
        if ours_name(each) in names
    ]
    if TRANSLATOR in names:
        contest = CONTESTS[-1]
        models_dir = link_translator(find_translator(), context.folder / "overloaded-translator")
        bodies, *_ = write_bodies(contest, context)
        workloads.append(
            Workload(TRANSLATOR, models_dir, contest.precision, TRANSLATE_PATH, bodies)
        )
    return workloads


def measure_workloads(
    context: BenchContext, names: Sequence[str], *, apart: bool = False
) -> dict[str, dict[str, Any]]:
    """The figures by workload; each has a server of its own, which has ended when the next starts.

    Args:
        context: models, texts and how long to measure.
        names: of `WORKLOADS`.
        apart: the server has the first half of the processors, and the clients have the others.
    """
    for_server, for_clients = share_processors(apart=apart)
    found = {}
    for workload in make_workloads(context, names):
        print(f"  {workload.name}", flush=True)
        with ExitStack() as stack:
            with on_processors(for_server):
                server = start_ours(
                    workload.models_dir, workload.precision, context.folder, workload.name
                )
            stack.enter_context(on_processors(for_clients))
            enlist(server, stack).wait_ready()
            found[workload.name] = measure_overload(server, workload, context.plan)
    return found


def share_processors(*, apart: bool) -> tuple[set[int], set[int]]:
    """The processors of the server and those of its clients: halves, or all for both."""
    processors = sorted(os.sched_getaffinity(0))
    if not apart:
        return {*processors}, {*processors}
    half = len(processors) // 2
    if not half:
        raise ValueError("client and server cannot be apart on a single processor")
    return {*processors[:half]}, {*processors[half:]}


def measure_overload(server: Server, workload: Workload, plan: BenchPlan) -> dict[str, Any]:
    """Three times the maximum that is measured just before.

    Memory is compared from when all connections are made and have been used.
    """
    top = find_maximum(server, workload, plan)
    load = OpenLoad(
        OVERLOAD * top["maximum_per_second"],
        plan.overload_seconds,
        plan.num_overload_connections,
        plan.timeout_ms,
        path=workload.path,
    )
    with ServerWatch(server) as watch:
        found = run_client(server, workload.bodies, load, watch.start)
    found |= describe_watch(watch, found) | top | {"timeout_ms": plan.timeout_ms}
    share = found["goodput_per_second"] / found["maximum_per_second"]
    equal = share * found["maximum_processors"] / max(found["processors"], 1e-9)
    timely = found["timely_per_second"] / found["maximum_per_second"]
    return found | {
        "goodput_share": share,
        "timely_share": timely,
        "goodput_share_per_processor": equal,
    }


def find_maximum(server: Server, workload: Workload, plan: BenchPlan) -> dict[str, float]:
    """Requests per second in closed loop, at the number of connections that suits the server best.

    Raises:
        RuntimeError: the client failed, or the server answered nothing well.
    """
    turns = [run_closed(server, workload, level, plan) for level in plan.maximum_levels]
    best = max(turns, key=lambda turn: turn["maximum_per_second"])
    if not best["maximum_per_second"]:
        raise RuntimeError(f"{server.name} answered nothing well:\n{server.read_log()}")
    return best


def run_closed(
    server: Server, workload: Workload, num_connections: int, plan: BenchPlan
) -> dict[str, float]:
    warm_up, seconds = plan.overload_warm_up_seconds, plan.overload_closed_seconds
    command = [sys.executable, "-m", CLOSED_LOOP, "--port", str(server.port)]
    command += ["--path", workload.path, "--group", f"all:{num_connections}:{workload.bodies}"]
    command += ["--warm-up", f"{warm_up:g}", "--seconds", f"{seconds:g}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as client:
        time.sleep(warm_up)
        started, spent = time.monotonic(), server.cpu_seconds()
        time.sleep(seconds)
        spent, elapsed = server.cpu_seconds() - spent, time.monotonic() - started
        output, _ = client.communicate()
    if client.returncode:
        raise RuntimeError("the closed-loop client failed; see above")
    rate = json.loads(output)["all"]["requests_per_second"]
    return {
        "maximum_per_second": rate,
        "maximum_connections": num_connections,
        "maximum_processors": spent / elapsed,
        "maximum_cpu_us": 1e6 * spent / elapsed / max(1.0, rate),
    }


@dataclass
class ServerWatch:
    """Notes what a server takes of memory and processors, every half a second and at the end.

    Attributes:
        busy_seconds: of all processors of the machine, used by any process.
    """

    server: Server
    rss_bytes: list[int] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    busy_seconds: list[float] = field(default_factory=list)
    noted_at: list[float] = field(default_factory=list)

    def __enter__(self) -> "ServerWatch":
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        return self

    def start(self) -> None:
        self._note()
        self._thread.start()

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._note()

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_SECONDS):
            self._note()

    def _note(self) -> None:
        self.rss_bytes.append(self.server.rss_bytes())
        self.cpu_seconds.append(self.server.cpu_seconds())
        self.busy_seconds.append(read_busy_seconds())
        self.noted_at.append(time.monotonic())


def describe_watch(watch: ServerWatch, found: Mapping[str, Any]) -> dict[str, Any]:
    """What server, client and others took, as processors; memory; processor time per good answer.

    Args:
        watch: of the whole run.
        found: the client's own figures.
    """
    seconds = watch.noted_at[-1] - watch.noted_at[0]
    spent = watch.cpu_seconds[-1] - watch.cpu_seconds[0]
    client = found["client_cpu_us"] * found["num_requests"] / 1e6
    others = watch.busy_seconds[-1] - watch.busy_seconds[0] - spent - client
    return {
        "good_cpu_us": 1e6 * spent / max(1, found["num_ok"]),
        "processors": spent / seconds,
        "client_processors": client / seconds,
        "other_processors": max(0.0, others) / seconds,
        "rss_start_bytes": watch.rss_bytes[0],
        "rss_end_bytes": watch.rss_bytes[-1],
        "rss_bytes": watch.rss_bytes,
    }


def main(argv: Sequence[str] | None = None) -> None:
    given = parse_arguments(argv)
    raise_file_limit()  # for the servers, too
    plan = BenchPlan(("overload",), timeout_ms=given.timeout_ms)
    plan = plan.shorten_to_smoke() if given.smoke else plan
    with tempfile.TemporaryDirectory(prefix="seqserve-bench-") as scratch:
        context = make_context(plan, Path(scratch))
        found = measure_workloads(context, given.only, apart=given.apart)
    words = ["loadtests.bench.overload", *(sys.argv[1:] if argv is None else argv)]
    about = describe_machine() | {"command": shlex.join(words)}
    results: dict[str, Any] = {"about": about, "overload": found}
    results["goals"] = find_goals(results)
    print_overload(found)
    print_goals(results)
    path = RESULTS / f"{given.name}.overload.json"
    write_json(results, path)
    print(f"wrote {path}")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="loadtests.bench.overload", description=__doc__)
    add = parser.add_argument
    add("--only", nargs="+", choices=WORKLOADS, default=WORKLOADS, metavar="WORKLOAD")
    add("--timeout-ms", type=int, default=0, help="deadline that the requests carry")
    add("--apart", action="store_true", help="server and clients on different processors")
    add("--smoke", action="store_true", help="only show that everything runs")
    add("--name", default="bench", help="of the file in loadtests/results")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
