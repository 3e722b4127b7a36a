"""Open-loop load: requests go out when they are due, however slow the answers come.

A process of its own; prints one JSON object. Each latency is counted from the time at which the
request was due, so that a server that stalls is charged for all that should have come meanwhile.
"""

import argparse
import json
import sys
import time
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from client import FAILED, Client, Connection, format_request, is_usable, raise_file_limit
from figures import percentile

SEED = 17
OPEN_AT_START = 64
DRAIN_SECONDS = 10.0
OK, SHED = 200, 429


class OpenLoop:
    """One run.

    Args:
        port: of the server, on this machine.
        requests: sent in turn.
        due: when each arrival is due, in seconds from the start, ascending.
        max_connections: what is due while all are busy waits here, at its own expense.

    Attributes:
        sent_at, answered_at: by arrival, in seconds from the start; 0 where it never happened.
        statuses: by arrival.
    """

    def __init__(
        self, port: int, requests: Sequence[bytes], due: Sequence[float], max_connections: int
    ) -> None:
        self._requests, self._due = requests, due
        self._max_connections = max_connections
        self._client = Client(port, self._take_answer)
        self._idle = [self._client.open() for _ in range(OPEN_AT_START)]
        self._backlog: deque[int] = deque()
        self._num_answered = 0
        self.max_connections_used = 0
        self.sent_at = array("d", bytes(8 * len(due)))
        self.answered_at = array("d", bytes(8 * len(due)))
        self.statuses = array("h", bytes(2 * len(due)))

    def run(self) -> None:
        """Sends everything, and waits for the answers that are still under way."""
        due, num_due, num_sent = self._due, len(self._due), 0
        self._started = started = time.monotonic()
        end = started + due[-1] + DRAIN_SECONDS
        while self._num_answered < num_due and (now := time.monotonic()) < end:
            while num_sent < num_due and due[num_sent] <= now - started:
                self._dispatch(num_sent)
                num_sent += 1
            self._client.wait(started + due[num_sent] if num_sent < num_due else end)
        self._client.close()

    def _dispatch(self, index: int) -> None:
        while self._idle:
            connection = self._idle.pop()
            if is_usable(connection):
                self._send(connection, index)
                return
        if self._client.num_connections >= self._max_connections:
            self._backlog.append(index)
            return
        try:
            connection = self._client.open()
        except OSError:
            self._record(index, FAILED)
            return
        self.max_connections_used = max(self.max_connections_used, self._client.num_connections)
        self._send(connection, index)

    def _send(self, connection: Connection, index: int) -> None:
        self.sent_at[index] = time.monotonic() - self._started
        self._client.send(connection, self._requests[index % len(self._requests)], index)

    def _take_answer(self, connection: Connection, index: int, status: int) -> None:
        self._record(index, status)
        if status == FAILED:
            if self._backlog:
                self._dispatch(self._backlog.popleft())
        elif self._backlog:
            self._send(connection, self._backlog.popleft())
        else:
            self._idle.append(connection)

    def _record(self, index: int, status: int) -> None:
        self.answered_at[index] = time.monotonic() - self._started
        self.statuses[index] = status
        self._num_answered += 1


def draw_arrivals(rate: float, seconds: float, seed: int = SEED) -> list[float]:
    """Times of a Poisson stream: independent clients."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(1 / rate, max(1, round(rate * seconds)))
    due: list[float] = np.cumsum(gaps).tolist()
    return due


def describe_run(run: OpenLoop, due: Sequence[float]) -> dict[str, Any]:
    """The run in figures; latencies in milliseconds from when each request was due.

    `goodput` counts what was answered with 200 while requests still came; `late` is how far behind
    its plan the client itself sent: large values say that the client was the bottleneck.
    """
    latencies: dict[int, list[float]] = {}
    end, num_in_time = due[-1], 0
    for index, status in enumerate(run.statuses):
        latencies.setdefault(status, []).append(1e3 * (run.answered_at[index] - due[index]))
        num_in_time += status == OK and run.answered_at[index] <= end
    late = [1e3 * (sent - due[index]) for index, sent in enumerate(run.sent_at) if sent]
    counts = Counter(run.statuses)
    return {
        "offered_per_second": len(due) / end,
        "goodput_per_second": num_in_time / end,
        "num_requests": len(due),
        "num_ok": counts[OK],
        "num_shed": counts[SHED],
        "num_failures": len(due) - counts[OK] - counts[SHED],
        "statuses": {str(status): count for status, count in sorted(counts.items())},
        "latency_ms": describe_latencies(latencies.get(OK, [])),
        "shed_ms": describe_latencies(latencies.get(SHED, [])),
        "late_ms": describe_latencies(late),
        "num_connections": run.max_connections_used,
    }


def describe_latencies(values: Sequence[float]) -> dict[str, float | None]:
    if not values:
        return {"p50": None, "p99": None, "p99.9": None, "max": None}
    found = {f"p{percent:g}": percentile(values, percent) for percent in (50, 99, 99.9)}
    return {**found, "max": max(values)}


def measure(given: argparse.Namespace) -> dict[str, Any]:
    headers = f"X-Request-Timeout-Ms: {given.timeout_ms}\r\n" if given.timeout_ms else ""
    bodies = given.bodies.read_text(encoding="utf-8").splitlines()
    requests = [format_request(given.path, body, headers) for body in bodies]
    due = draw_arrivals(given.rate, given.seconds, given.seed)
    run = OpenLoop(given.port, requests, due, min(given.max_connections, raise_file_limit() - 64))
    started = time.process_time()
    run.run()
    cpu_us = 1e6 * (time.process_time() - started) / len(due)
    return describe_run(run, due) | {"client_cpu_us": cpu_us}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--bodies", type=Path, required=True, help="JSON bodies, one a line")
    parser.add_argument("--rate", type=float, required=True, help="requests per second")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--max-connections", type=int, default=8192)
    parser.add_argument("--timeout-ms", type=int, default=0, help="deadline sent along; 0: none")
    parser.add_argument("--seed", type=int, default=SEED)
    return parser.parse_args()


def main() -> None:
    json.dump(measure(parse_arguments()), sys.stdout)


if __name__ == "__main__":
    main()
