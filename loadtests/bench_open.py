"""Part (b), open loop: latency at a share of each server's own maximum, and overload."""

import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench_http import PATH, WARM_UP_SECONDS, rotate
from figures import median
from plan import Stage
from processes import Server
from wrk import run_wrk

LOAD_SHARE, OVERLOAD = 0.6, 3.0
MAXIMUM_LEVELS = (32, 128)
WATCH_SECONDS = 0.5
CLIENT = Path(__file__).with_name("open_loop.py")


def run_client(
    server: Server, bodies: Path, rate: float, seconds: float, *, seed: int = 1, timeout_ms: int = 0
) -> dict[str, Any]:
    """Runs the open-loop client as a process of its own."""
    command = [sys.executable, str(CLIENT), "--port", str(server.port), "--path", PATH]
    command += ["--bodies", str(bodies), "--rate", f"{rate:.3f}", "--seconds", f"{seconds:g}"]
    command += ["--seed", str(seed), "--timeout-ms", str(timeout_ms)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the open-loop client failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def find_maximum(server: Server, bodies: Path, seconds: float) -> float:
    """Requests per second in closed loop, at the number of connections that suits it best."""
    server.resume()
    run_wrk(server.url(PATH), bodies, MAXIMUM_LEVELS[0], WARM_UP_SECONDS)
    rates = [
        run_wrk(server.url(PATH), bodies, level, seconds).requests_per_second
        for level in MAXIMUM_LEVELS
    ]
    server.pause()
    return max(rates)


def measure_open(
    servers: Sequence[Server], stage: Stage, maxima: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Rounds; in each the client's figures by server, the others standing still meanwhile."""
    plan, bodies = stage.plan, stage.bodies
    rounds = []
    for index in range(plan.num_rounds):
        print(f"  round {index + 1} of {plan.num_rounds}", flush=True)
        found = {}
        for server in rotate(servers, index):
            server.resume()
            run_wrk(server.url(PATH), bodies, MAXIMUM_LEVELS[0], WARM_UP_SECONDS)
            rate = LOAD_SHARE * maxima[server.name]
            found[server.name] = run_client(server, bodies, rate, plan.open_seconds, seed=index)
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


@dataclass
class MemoryWatch:
    """Notes the resident memory of a server every half a second until it is told to stop."""

    server: Server
    rss_bytes: list[int] = field(default_factory=list)

    def __enter__(self) -> "MemoryWatch":
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_SECONDS):
            self.rss_bytes.append(self.server.rss_bytes())


def measure_overload(server: Server, stage: Stage) -> dict[str, Any]:
    """Three times the maximum that was measured just before.

    The memory at the start is that after the closed loop, when everything has been used once.
    """
    bodies, seconds = stage.bodies, stage.plan.overload_seconds
    timeout_ms = stage.plan.timeout_ms
    maximum = find_maximum(server, bodies, stage.plan.seconds)
    server.resume()
    start_bytes = server.rss_bytes()
    with MemoryWatch(server) as watch:
        found = run_client(server, bodies, OVERLOAD * maximum, seconds, timeout_ms=timeout_ms)
    end_bytes = server.rss_bytes()
    server.pause()
    return found | {
        "maximum_per_second": maximum,
        "timeout_ms": timeout_ms,
        "goodput_share": found["goodput_per_second"] / maximum,
        "rss_start_bytes": start_bytes,
        "rss_end_bytes": end_bytes,
        "rss_bytes": watch.rss_bytes,
    }
