"""Closed-loop load of several groups at once, each with its own bodies and its own latencies.

A process of its own; prints one JSON object. wrk has one group and one histogram.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtests.clients.http_client import FAILED, Client, Connection, format_request
from loadtests.measuring.figures import percentile

OK = 200


@dataclass
class Group:
    """Connections that send the same bodies in turn.

    Attributes:
        latencies_ms: of the requests that were answered with 200 within the window.
    """

    name: str
    num_connections: int
    requests: Sequence[bytes]
    latencies_ms: list[float] = field(default_factory=list)
    num_failures: int = 0
    num_sent: int = 0


class ClosedLoop:
    """One run: every connection sends again as soon as it is answered.

    Args:
        port: of a server on this machine.
        groups: take the figures.
        warm_up_seconds: before the window.
        seconds: length of the window; answers within it count.
        tail_seconds: of load after the window, in which the caller can read metrics.
    """

    def __init__(
        self,
        port: int,
        groups: Sequence[Group],
        warm_up_seconds: float,
        seconds: float,
        tail_seconds: float,
    ) -> None:
        self._client = Client(port, self._take_answer)
        self._groups = groups
        self._start = time.monotonic() + warm_up_seconds
        self._end = self._start + seconds
        self._tail_end = self._end + tail_seconds
        self._sent_at: dict[int, float] = {}

    def run(self) -> None:
        for number, group in enumerate(self._groups):
            for _ in range(group.num_connections):
                self._send(self._client.open(), number)
        while time.monotonic() < self._tail_end:
            self._client.wait(self._tail_end)
        self._client.close()

    def _send(self, connection: Connection, number: int) -> None:
        group = self._groups[number]
        request = group.requests[group.num_sent % len(group.requests)]
        group.num_sent += 1
        self._sent_at[id(connection)] = time.monotonic()
        self._client.send(connection, request, number)

    def _take_answer(self, connection: Connection, number: int, status: int) -> None:
        now, group = time.monotonic(), self._groups[number]
        sent_at = self._sent_at.pop(id(connection))
        if status != OK:
            group.num_failures += 1  # whenever it was: none is expected
        elif self._start <= now < self._end:
            group.latencies_ms.append(1e3 * (now - sent_at))
        self._send(self._client.open() if status == FAILED else connection, number)


def describe_group(group: Group, seconds: float) -> dict[str, Any]:
    latencies = group.latencies_ms
    return {
        "num_connections": group.num_connections,
        "num_requests": len(latencies),
        "num_failures": group.num_failures,
        "requests_per_second": len(latencies) / seconds,
        "p50_ms": percentile(latencies, 50) if latencies else None,
        "p99_ms": percentile(latencies, 99) if latencies else None,
    }


def parse_group(text: str, path: str) -> Group:
    """`name:connections:file`, the file with JSON bodies, one a line."""
    name, num_connections, file = text.split(":", 2)
    bodies = Path(file).read_text(encoding="utf-8").splitlines()
    return Group(name, int(num_connections), [format_request(path, body) for body in bodies])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--group", action="append", required=True, help="name:connections:file")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds before the window")
    parser.add_argument("--seconds", type=float, required=True, help="length of the window")
    parser.add_argument("--tail", type=float, default=0.5, help="seconds of load after the window")
    return parser.parse_args()


def main() -> None:
    given = parse_arguments()
    groups = [parse_group(text, given.path) for text in given.group]
    ClosedLoop(given.port, groups, given.warm_up, given.seconds, given.tail).run()
    json.dump({group.name: describe_group(group, given.seconds) for group in groups}, sys.stdout)


if __name__ == "__main__":
    main()
