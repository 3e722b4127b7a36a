"""Part (b), open loop: latency at a share of each server's own maximum."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.bench.contestants.servers import PATH
from loadtests.bench.parts.throughput import rotate, warm_up
from loadtests.bench.plan import BenchContext
from loadtests.clients.open_loop import READY
from loadtests.clients.wrk import run_wrk
from loadtests.measuring.figures import median
from loadtests.measuring.places import ROOT
from loadtests.measuring.processes import Server

LOAD_SHARE = 0.6
CLIENT = "loadtests.clients.open_loop"


@dataclass(frozen=True)
class OpenLoad:
    """What the open-loop client shall do.

    Attributes:
        rate: requests per second.
        num_connections: made before; more are made when all are busy.
        timeout_ms: deadline that the requests carry; 0 for none.
        path: takes them.
    """

    rate: float
    seconds: float
    num_connections: int = 64
    timeout_ms: int = 0
    seed: int = 1
    path: str = PATH


def run_client(
    server: Server, bodies: Path, load: OpenLoad, on_ready: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Runs the open-loop client as a process of its own.

    Args:
        server: takes the load.
        bodies: one a line.
        load: see `OpenLoad`.
        on_ready: called when the connections are made and nothing is under way.
    """
    command = [sys.executable, "-m", CLIENT, "--port", str(server.port), "--path", load.path]
    command += ["--bodies", str(bodies), "--rate", f"{load.rate:.3f}"]
    command += ["--seconds", f"{load.seconds:g}", "--connections", str(load.num_connections)]
    command += ["--seed", str(load.seed), "--timeout-ms", str(load.timeout_ms)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        if client.stdout.readline().strip() == READY:
            on_ready()
        output, _ = client.communicate()
    if client.returncode:
        raise RuntimeError("the open-loop client failed; see above")
    found: dict[str, Any] = json.loads(output)
    return found


def find_maximum(server: Server, context: BenchContext) -> float:
    """Requests per second in closed loop, at the number of connections that suits it best."""
    server.resume()
    warm_up(server, context, context.plan.maximum_levels[0])
    url = server.url(server.task_path)
    rates = [
        run_wrk(url, context.bodies, level, context.plan.seconds).requests_per_second
        for level in context.plan.maximum_levels
    ]
    server.pause()
    return max(rates)


def measure_open(
    servers: Sequence[Server], context: BenchContext, maxima: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Rounds; in each the client's figures by server, the others standing still meanwhile."""
    plan, bodies = context.plan, context.bodies
    rounds = []
    for index in range(plan.num_rounds):
        print(f"  round {index + 1} of {plan.num_rounds}", flush=True)
        found = {}
        for server in rotate(servers, index):
            server.resume()
            warm_up(server, context, context.plan.maximum_levels[0])
            rate = LOAD_SHARE * maxima[server.name]
            load = OpenLoad(rate, plan.open_seconds, seed=index, path=server.task_path)
            found[server.name] = run_client(server, bodies, load)
            server.pause()
        rounds.append(found)
    return rounds


def summarize_open(rounds: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Medians over the rounds by server."""
    return {
        name: {
            "offered_per_second": median([each[name]["offered_per_second"] for each in rounds]),
            **{
                f"{label}_ms": median([read_latency(each[name], label) for each in rounds])
                for label in ("p50", "p99", "p99.9")
            },
            "late_p99_ms": median([each[name]["late_ms"]["p99"] for each in rounds]),
            "client_cpu_us": median([each[name]["client_cpu_us"] for each in rounds]),
            "num_failures": sum(
                each[name]["num_failures"] + each[name]["num_shed"] for each in rounds
            ),
        }
        for name in rounds[0]
    }


def read_latency(found: Mapping[str, Any], label: str) -> float:
    value = found["latency_ms"][label]
    return float("inf") if value is None else float(value)
