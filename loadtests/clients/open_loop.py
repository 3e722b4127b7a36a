"""Open-loop load: requests go out when they are due, however slow the answers come.

A process of its own; prints a line when its connections are made, and one with a JSON object in the
end. Each latency is counted from the time at which the request was due, so that a server that
stalls is charged for all that should have come meanwhile.

The connections are made and used once before, as a pool's are: a server on uvloop accepts one
connection per turn of its loop (libuv pull request 3696), so that thousands that come at once wait
in the kernel, unseen by the server's admission.
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

from loadtests.clients.http_client import (
    FAILED,
    Client,
    Connection,
    format_get,
    format_request,
    is_usable,
)
from loadtests.measuring.figures import percentile
from loadtests.measuring.processes import raise_file_limit

SEED = 17
READY = "ready"
MAX_CONNECTIONS = 8192
WARM_PATH = "/readyz"
WARM_AT_A_TIME, WARM_SECONDS = 32, 60.0
SETTLE_SECONDS = 0.5
DRAIN_SECONDS = 10.0
OK, SHED = 200, 429
# What a client has for an answer, by and large.
BUDGET_SECONDS = 1.0


class OpenLoop:
    """One run.

    Args:
        port: of the server, on this machine.
        requests: sent in turn.
        due: when each arrival is due, in seconds from the start, ascending.
        max_connections: requests that are due while all are busy wait here; the wait counts.

    Connections are used in turn, so that none is closed for being idle while others are busy.

    Attributes:
        sent_at, answered_at: by arrival, in seconds from the start; 0 if it never happened.
        statuses: by arrival.
        num_connections_added: made on the way, since all there were were busy.
    """

    def __init__(
        self, port: int, requests: Sequence[bytes], due: Sequence[float], max_connections: int
    ) -> None:
        self._requests, self._due = requests, due
        self._max_connections = max_connections
        self._client = Client(port, self._take_answer)
        self._is_warming, self._num_warmed = True, 0
        self._idle: deque[Connection] = deque()
        self._backlog: deque[int] = deque()
        self._num_answered = 0
        self.num_connections_added = 0
        self.sent_at = array("d", bytes(8 * len(due)))
        self.answered_at = array("d", bytes(8 * len(due)))
        self.statuses = array("h", bytes(2 * len(due)))

    def warm_up(self, num_connections: int) -> None:
        """Opens connections and lets the server answer once on each.

        Raises:
            RuntimeError: it takes too long.
        """
        request, num_opened = format_get(WARM_PATH), 0
        end = time.monotonic() + WARM_SECONDS
        while self._num_warmed < num_connections:
            while num_opened < min(num_connections, self._num_warmed + WARM_AT_A_TIME):
                self._client.send(self._client.open(), request, num_opened)
                num_opened += 1
            self._client.wait(end)
            if time.monotonic() > end:
                raise RuntimeError(f"{num_connections} connections take the server too long")
        self._is_warming = False

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
            connection = self._idle.popleft()
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
        self.num_connections_added += 1
        self._send(connection, index)

    def _send(self, connection: Connection, index: int) -> None:
        self.sent_at[index] = time.monotonic() - self._started
        self._client.send(connection, self._requests[index % len(self._requests)], index)

    def _take_answer(self, connection: Connection, index: int, status: int) -> None:
        if self._is_warming:
            self._num_warmed += 1
            if status != FAILED:
                self._idle.append(connection)
            return
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

    `goodput` counts the answers with 200 that came while requests were still due, `timely` those of
    them that took no longer than `BUDGET_SECONDS`. `late` is how far behind its plan the client
    itself sent: if it is large, the client was the bottleneck.
    """
    latencies: dict[int, list[float]] = {}
    end, num_in_time, num_timely = due[-1], 0, 0
    for index, status in enumerate(run.statuses):
        seconds = run.answered_at[index] - due[index]
        latencies.setdefault(status, []).append(1e3 * seconds)
        if status == OK and run.answered_at[index] <= end:
            num_in_time += 1
            num_timely += seconds <= BUDGET_SECONDS
    late = [1e3 * (sent - due[index]) for index, sent in enumerate(run.sent_at) if sent]
    counts = Counter(run.statuses)
    return {
        "offered_per_second": len(due) / end,
        "goodput_per_second": num_in_time / end,
        "timely_per_second": num_timely / end,
        "num_requests": len(due),
        "num_ok": counts[OK],
        "num_shed": counts[SHED],
        "num_failures": len(due) - counts[OK] - counts[SHED],
        "statuses": {str(status): count for status, count in sorted(counts.items())},
        "latency_ms": describe_latencies(latencies.get(OK, [])),
        "shed_ms": describe_latencies(latencies.get(SHED, [])),
        "late_ms": describe_latencies(late),
        "num_connections_added": run.num_connections_added,
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
    max_connections = min(MAX_CONNECTIONS, raise_file_limit() - 64)
    run = OpenLoop(given.port, requests, due, max_connections)
    run.warm_up(min(given.connections, max_connections))
    time.sleep(SETTLE_SECONDS)
    print(READY, flush=True)  # the caller reads the server's memory now
    time.sleep(SETTLE_SECONDS)
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
    parser.add_argument("--connections", type=int, default=64, help="made before; default 64")
    parser.add_argument("--timeout-ms", type=int, default=0, help="deadline sent along; 0: none")
    parser.add_argument("--seed", type=int, default=SEED)
    return parser.parse_args()


def main() -> None:
    json.dump(measure(parse_arguments()), sys.stdout)


if __name__ == "__main__":
    main()
