"""Part (b), closed loop: the service against its peers, same texts, same minute, in turns."""

import json
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from figures import median, median_ratio
from processes import OPENER, Server
from wrk import ClosedLoop, run_wrk

PATH = "/classify"
WARM_UP_SECONDS = 1


@dataclass(frozen=True)
class Turn:
    """One server at one number of connections in one round.

    Attributes:
        cpu_us: processor microseconds of the whole process tree per answered request.
    """

    loop: ClosedLoop
    cpu_us: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self.loop) | {
            "requests_per_second": self.loop.requests_per_second,
            "cpu_us": self.cpu_us,
        }


Round = dict[str, Turn]
"""The turns of one round at one number of connections, by server."""


def check_answer(server: Server, body: str) -> None:
    """Sends one request, so that nobody is measured on errors.

    Raises:
        RuntimeError: the answer is not a list of labels with scores.
    """
    request = urllib.request.Request(
        server.url(PATH), body.encode(), {"Content-Type": "application/json"}
    )
    with OPENER.open(request, timeout=30) as response:
        answer = json.load(response)
    try:
        scores = [float(label["score"]) for label in answer[0]]
    except (IndexError, KeyError, TypeError) as exc:
        raise RuntimeError(f"{server.name} gives no labels: {answer}") from exc
    if not 0.99 < sum(scores) < 1.01:
        raise RuntimeError(f"{server.name} gives scores that are no probabilities: {scores}")


def measure_turn(server: Server, bodies: Path, num_connections: int, seconds: float) -> Turn:
    before = server.cpu_seconds()
    loop = run_wrk(server.url(PATH), bodies, num_connections, seconds)
    spent = server.cpu_seconds() - before
    return Turn(loop, 1e6 * spent / max(1, loop.num_requests))


def run_round(
    servers: Sequence[Server], bodies: Path, num_connections: int, seconds: float
) -> Round:
    """Measures each server in turn; the others stand still meanwhile."""
    turns: Round = {}
    for server in servers:
        server.resume()
        run_wrk(server.url(PATH), bodies, num_connections, WARM_UP_SECONDS)
        turns[server.name] = measure_turn(server, bodies, num_connections, seconds)
        server.pause()
    return turns


def rotate(servers: Sequence[Server], by: int) -> list[Server]:
    """The servers in another order, so that none always comes after the same one."""
    by %= len(servers)
    return [*servers[by:], *servers[:by]]


def measure_http(
    servers: Sequence[Server],
    bodies: Path,
    levels: Sequence[int],
    num_rounds: int,
    seconds: float,
) -> dict[int, list[Round]]:
    """Rounds by number of connections."""
    rounds: dict[int, list[Round]] = {level: [] for level in levels}
    for server in servers:
        server.pause()
    for index in range(num_rounds):
        for level in levels:
            print(f"  round {index + 1} of {num_rounds}, {level} connections", flush=True)
            rounds[level].append(run_round(rotate(servers, index), bodies, level, seconds))
    return rounds


def summarize(rounds: Mapping[int, Sequence[Round]]) -> dict[str, dict[int, dict[str, float]]]:
    """Medians over the rounds: by server, then by number of connections."""
    summary: dict[str, dict[int, dict[str, float]]] = {}
    for level, level_rounds in rounds.items():
        for name in level_rounds[0]:
            turns = [each[name] for each in level_rounds]
            summary.setdefault(name, {})[level] = {
                "requests_per_second": median([turn.loop.requests_per_second for turn in turns]),
                "p50_ms": median([turn.loop.p50_ms for turn in turns]),
                "p99_ms": median([turn.loop.p99_ms for turn in turns]),
                "cpu_us": median([turn.cpu_us for turn in turns]),
                "num_failures": sum(turn.loop.num_failures for turn in turns),
            }
    return summary


def throughput_ratio(rounds: Sequence[Round], over: str, under: str) -> float:
    return median_ratio(rounds, over, under, lambda turn: turn.loop.requests_per_second)


def latency_ratio(rounds: Sequence[Round], over: str, under: str) -> float:
    return median_ratio(rounds, over, under, lambda turn: turn.loop.p50_ms)
