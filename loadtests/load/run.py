"""Five minutes of load, as `make load` runs them, on a service that is started for it.

First each kind of user alone for some seconds, for what its requests cost; then all kinds in a
closed loop, for about how much the service can do; then an open loop that rises in steps from a
twelfth to beyond that. Prints tables, writes loadtests/results/load.json, .html and .png (or
NAME.load.json and so on; NAME.json is the benchmark's), and exits with 1 when the objectives were
missed. Further options are locust's: see `locust -f loadtests/locustfile.py --help`.
"""

import argparse
import json
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from loadtests.load.bodies import DEFAULT_MIX, KINDS, parse_mix
from loadtests.load.report import add_suffix, print_load, write_page
from loadtests.load.shapes import LEAST_SECONDS
from loadtests.load.slo import parse_slo
from loadtests.measuring.places import RESULTS, ROOT
from loadtests.measuring.processes import (
    Server,
    enlist,
    list_tree,
    raise_file_limit,
    read_busy_seconds,
    read_cpu_seconds,
)
from loadtests.measuring.tables import write_json

LOCUSTFILE = ROOT / "loadtests" / "locustfile.py"
NUM_STEPS = 12
COST_SHARE, MAXIMUM_SHARE = 0.025, 0.04
START_SECONDS = 4.0
"""What a run of locust takes in addition to its load."""
COST_USERS, MAXIMUM_USERS = 8, 48
BEYOND = 1.3
JUDGED_SHARE = 0.6
DEFAULT_SLO = "p99=1500ms,errors=0.1%"
SAMPLE_SECONDS = 0.5


@dataclass
class CpuSamples:
    """Processor seconds that server, client and the whole machine had taken by some moments."""

    server: Server | None
    times: list[float] = field(default_factory=list)
    servers: list[float] = field(default_factory=list)
    clients: list[float] = field(default_factory=list)
    machines: list[float] = field(default_factory=list)

    def take(self, client_pid: int) -> None:
        if self.server is None:
            return
        self.times.append(time.time())
        self.servers.append(self.server.cpu_seconds())
        self.clients.append(sum(read_cpu_seconds(pid) for pid in list_tree(client_pid)))
        self.machines.append(read_busy_seconds())

    def mark(self, step: dict[str, Any], started: float) -> None:
        """Adds to a step's figures how many processors were busy, and for how long per request.

        Args:
            step: its start and end are counted from `started`.
            started: when the run did, seconds since the epoch.
        """
        if not self.times:
            return
        start, end = started + step["start"], started + step["end"]
        server, client, machine = (
            (self._read(values, end) - self._read(values, start)) / (end - start)
            for values in (self.servers, self.clients, self.machines)
        )
        other = max(0.0, machine - server - client)
        step |= {"server_cpus": server, "client_cpus": client, "other_cpus": other}
        rate = step["throughput"]
        step["cpu_ms"] = 1000 * step["server_cpus"] / rate if rate else None
        step["per_core"] = rate / step["server_cpus"] if step["server_cpus"] else None

    def _read(self, values: Sequence[float], moment: float) -> float:
        """The value at a moment, on the line between the samples around it."""
        pairs = list(zip(self.times, values, strict=True))
        before = max((pair for pair in pairs if pair[0] <= moment), default=pairs[0])
        after = min((pair for pair in pairs if pair[0] >= moment), default=pairs[-1])
        if after[0] <= before[0]:
            return before[1]
        share = (moment - before[0]) / (after[0] - before[0])
        return before[1] + share * (after[1] - before[1])


@dataclass(frozen=True)
class Target:
    """The service under load.

    Attributes:
        server: None if this program did not start it.
        options: for all runs of locust.
    """

    host: str
    server: Server | None
    options: tuple[str, ...]
    scratch: Path

    def run_locust(self, options: Mapping[str, str]) -> dict[str, Any]:
        """One run; its figures, with processors if this program started the server.

        Raises:
            RuntimeError: locust gave no figures; with the end of its log.
        """
        report, log = self.scratch / "report", self.scratch / "locust.log"
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless"]
        command += ["--only-summary", "--host", self.host, "--report", str(report), *self.options]
        for name, value in options.items():
            command += [f"--{name}", value]
        samples, found = CpuSamples(self.server), add_suffix(report, ".json")
        found.unlink(missing_ok=True)
        with (
            log.open("w", encoding="utf-8") as stream,
            subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=stream) as client,
        ):
            while client.poll() is None:
                samples.take(client.pid)
                time.sleep(SAMPLE_SECONDS)
        if not found.exists():
            raise RuntimeError(f"locust failed:\n{log.read_text(encoding='utf-8')[-2000:]}")
        results: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
        for step in results["steps"]:
            samples.mark(step, results["about"]["started_ms"] / 1000)
        return results


def main() -> None:
    given, further = parse_arguments()
    # a stop is an exception: the server is stopped on the way out
    signal.signal(signal.SIGTERM, stop)
    raise_file_limit()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="seqserve-load-")))
        server = None if given.host else start_server(scratch, stack)
        host = given.host or (server.url() if server else "")
        results = measure(Target(host, server, tuple(further), scratch), given)
    results["about"]["command"] = shlex.join(["loadtests.load.run", *hide_key(sys.argv[1:])])
    print_load(results)
    path = RESULTS / (f"{given.name}.load" if given.name else "load")
    write_json(results, add_suffix(path, ".json"))
    for written in [add_suffix(path, ".json"), *write_page(path)]:
        print(f"wrote {written}")
    if not all(verdict["is_met"] for verdict in results["slo"]):
        raise SystemExit("The objectives were missed.")


def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler
    raise SystemExit(128 + signum)


def start_server(scratch: Path, stack: ExitStack) -> Server:
    """The service as shipped but for the log line of every request."""
    command = [sys.executable, "-m", "service", "--port", "{port}", "--log-level", "warning"]
    log = scratch / "service.log"
    server = Server("seqserve", command, {}, ready_path="/readyz", folder=ROOT, log=log)
    enlist(server, stack)
    server.wait_ready()
    return server


def measure(target: Target, given: argparse.Namespace) -> dict[str, Any]:
    """All three parts in the time given."""
    kinds = [kind for kind, weight in parse_mix(given.mix).items() if weight]
    if target.server is None:
        kinds = []  # a cost needs the server's processor time
    costs = {kind: measure_cost(target, kind, COST_SHARE * given.seconds) for kind in kinds}
    maximum = find_maximum(target, given.mix, MAXIMUM_SHARE * given.seconds)
    print(f"about {maximum:.0f} requests per second at most; now the ramp", flush=True)
    taken = len(kinds) * (COST_SHARE * given.seconds + START_SECONDS)
    taken += MAXIMUM_SHARE * given.seconds + START_SECONDS
    results = target.run_locust(
        {
            "shape": "ramp",
            "load": str(max(1, round(BEYOND * maximum / NUM_STEPS))),
            "peak": str(max(NUM_STEPS, round(BEYOND * maximum))),
            "steps": str(NUM_STEPS),
            "duration": f"{max(LEAST_SECONDS * NUM_STEPS, given.seconds - taken):.0f}s",
            "mix": given.mix,
            "slo": complete_slo(given.slo, maximum),
        }
    )
    return results | {"costs": costs, "closed_loop_maximum": maximum}


def measure_cost(target: Target, kind: str, seconds: float) -> dict[str, Any]:
    """Figures of one kind alone, in a closed loop."""
    print(f"{kind} alone", flush=True)
    found = run_closed(target, f"{kind}=1", COST_USERS, seconds)
    return {
        key: found[key]
        for key in (
            "other_cpus",
            "num_requests",
            "throughput",
            "server_cpus",
            "client_cpus",
            "cpu_ms",
            "per_core",
        )
    }


def find_maximum(target: Target, mix: str, seconds: float) -> float:
    """Answers per second in a closed loop of many users."""
    print("all kinds in a closed loop", flush=True)
    maximum = float(run_closed(target, mix, MAXIMUM_USERS, seconds)["throughput"])
    if not maximum:
        raise RuntimeError("the service answers nothing; is its address right?")
    return maximum


def run_closed(target: Target, mix: str, num_users: int, seconds: float) -> dict[str, Any]:
    results = target.run_locust(
        {
            "loop": "closed",
            "load": str(num_users),
            "duration": f"{max(3, seconds):.1f}s",
            "mix": mix,
        }
    )
    step: dict[str, Any] = results["steps"][0]
    return step


def complete_slo(slo: str, maximum: float) -> str:
    """Objectives for what a service should be given; beyond saturation every one is missed."""
    if parse_slo(slo, tuple(KINDS)).max_load is not None:
        return slo
    return f"{slo},load={JUDGED_SHARE * maximum:.0f}"


def hide_key(arguments: Sequence[str]) -> list[str]:
    """The command for the report, without the secret that may be in it."""
    hidden, is_secret = [], False
    for argument in arguments:
        is_joined = argument.startswith("--api-key=")
        hidden.append("..." if is_secret else "--api-key=..." if is_joined else argument)
        is_secret = argument == "--api-key"
    return hidden


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--host", default="", help="a service that runs; else one is started")
    parser.add_argument("--seconds", type=float, default=300, help="in all, about; default 300")
    parser.add_argument("--mix", default=DEFAULT_MIX, help=f"default {DEFAULT_MIX}")
    slo_help = f"default {DEFAULT_SLO}, up to {JUDGED_SHARE:.0%} of what the service can do"
    parser.add_argument("--slo", default=DEFAULT_SLO, help=slo_help.replace("%", "%%"))
    parser.add_argument("--name", default="", help="of the files in loadtests/results")
    given, further = parser.parse_known_args()
    try:
        parse_mix(given.mix)
        parse_slo(given.slo, tuple(KINDS))
    except ValueError as exc:
        parser.error(str(exc))
    return given, further


if __name__ == "__main__":
    main()
