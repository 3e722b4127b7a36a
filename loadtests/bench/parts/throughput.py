"""Part (b), closed loop: the service against its peers, same texts, same minute, in turns."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loadtests.bench.plan import BenchContext
from loadtests.clients.wrk import ClosedLoop, run_wrk
from loadtests.measuring.connections import count_connections
from loadtests.measuring.figures import median, median_ratio
from loadtests.measuring.processes import CpuAccount, Server

WARM_UP_SECONDS = 1
# Before all rounds: Java compiles meanwhile what it runs often.
FIRST_WARM_UP_SECONDS, FIRST_WARM_UP_LEVEL = 5, 32


@dataclass(frozen=True)
class Turn:
    """One server at one number of connections in one round.

    Attributes:
        cpu_us: processor microseconds of the whole process tree per answered request.
        other_cpus: processors that were busy with neither server nor client; more than a few
            hundredths disturb.
        connections: by worker, most first, when half of the time was over.
    """

    loop: ClosedLoop
    cpu_us: float
    other_cpus: float
    connections: tuple[int, ...]

    @property
    def balance(self) -> float:
        """Connections of the worker with the fewest over those of the one with the most."""
        most = max(self.connections, default=0)
        return min(self.connections) / most if most else 0.0

    def as_json(self) -> dict[str, Any]:
        return asdict(self.loop) | {
            "requests_per_second": self.loop.requests_per_second,
            "cpu_us": self.cpu_us,
            "other_cpus": self.other_cpus,
            "connections": self.connections,
        }


Round = dict[str, Turn]
"""The turns of one round at one number of connections, by server."""


def measure_turn(server: Server, bodies: Path, num_connections: int, seconds: float) -> Turn:
    connections: list[int] = []
    pids = server.list_pids()
    watch = threading.Timer(
        seconds / 2, lambda: connections.extend(count_connections(pids, server.port))
    )
    account = CpuAccount(server)
    watch.start()
    loop = run_wrk(server.url(server.task_path), bodies, num_connections, seconds)
    spent, other_cpus = account.close()
    watch.join()
    return Turn(loop, 1e6 * spent / max(1, loop.num_requests), other_cpus, tuple(connections))


def warm_up(
    server: Server, context: BenchContext, num_connections: int, seconds: int = WARM_UP_SECONDS
) -> None:
    """Sends load that is not counted, unless the run is a smoke."""
    if not context.plan.is_smoke:
        url = server.url(server.task_path)
        run_wrk(url, context.bodies, num_connections, seconds)


def run_round(
    servers: Sequence[Server], context: BenchContext, num_connections: int, *, is_first: bool = True
) -> Round:
    """Measures each server in turn, after a warm-up if it is the first; the others stand still."""
    turns: Round = {}
    for server in servers:
        server.resume()
        if is_first:
            warm_up(server, context, num_connections)
        turns[server.name] = measure_turn(
            server, context.bodies, num_connections, context.plan.seconds
        )
        server.pause()
    return turns


def rotate(servers: Sequence[Server], by: int) -> list[Server]:
    """The servers in another order, so that none always comes after the same one."""
    by %= len(servers)
    return [*servers[by:], *servers[:by]]


def measure_http(
    servers: Sequence[Server],
    context: BenchContext,
    measure_ceilings: Callable[[], Mapping[str, float]],
) -> dict[str, Any]:
    """Rounds by number of connections, and in each round the engine's ceilings.

    Args:
        servers: all of them stand still when they are given, and after.
        context: bodies, number of rounds and seconds.
        measure_ceilings: texts per second of the engine's processor time, by precision.
    """
    plan = context.plan
    for server in servers:
        server.resume()
        warm_up(server, context, FIRST_WARM_UP_LEVEL, FIRST_WARM_UP_SECONDS)
        server.pause()
    rounds: dict[int, list[Round]] = {level: [] for level in plan.levels}
    ceilings: dict[str, list[float]] = {}
    for index in range(plan.num_rounds):
        for precision, rate in measure_ceilings().items():
            ceilings.setdefault(precision, []).append(rate)
        order = rotate(servers, index)
        for level in plan.levels:
            print(f"  round {index + 1} of {plan.num_rounds}, {level} connections", flush=True)
            is_first = level == plan.levels[0]
            rounds[level].append(run_round(order, context, level, is_first=is_first))
    return {"rounds": rounds, "ceilings": ceilings}


def summarize(rounds: Mapping[int, Sequence[Round]]) -> dict[str, dict[int, dict[str, Any]]]:
    """By server, then by number of connections: medians over the rounds.

    Failures are added up; of other programs and of the spread of connections the worst is taken.
    """
    summary: dict[str, dict[int, dict[str, Any]]] = {}
    for level, level_rounds in rounds.items():
        for name in level_rounds[0]:
            turns = [each[name] for each in level_rounds]
            summary.setdefault(name, {})[level] = {
                "requests_per_second": median([turn.loop.requests_per_second for turn in turns]),
                "p50_ms": median([turn.loop.p50_ms for turn in turns]),
                "p99_ms": median([turn.loop.p99_ms for turn in turns]),
                "cpu_us": median([turn.cpu_us for turn in turns]),
                "num_failures": sum(turn.loop.num_failures for turn in turns),
                "other_cpus": max(turn.other_cpus for turn in turns),
                "connections": min(turns, key=lambda turn: turn.balance).connections,
            }
    return summary


def throughput_ratio(rounds: Sequence[Round], over: str, under: str) -> float:
    return median_ratio(rounds, over, under, lambda turn: turn.loop.requests_per_second)


def latency_ratio(rounds: Sequence[Round], over: str, under: str) -> float:
    return median_ratio(rounds, over, under, lambda turn: turn.loop.p50_ms)


def balance_ratio(rounds: Sequence[Round], name: str) -> float:
    return median([each[name].balance for each in rounds])


def overhead_ratio(
    rounds: Sequence[Round], ceilings: Sequence[float], name: str, floor: str
) -> float:
    """Processor time of a request over the least there could be: HTTP floor plus engine ceiling."""
    return median(
        [
            each[name].cpu_us / (each[floor].cpu_us + 1e6 / ceiling)
            for each, ceiling in zip(rounds, ceilings, strict=True)
        ]
    )
