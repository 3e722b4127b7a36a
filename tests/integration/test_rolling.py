"""Two real servers behind a real nginx: rolled, killed and hung, under clients that see nothing.

`make rolling` runs it; it takes two minutes.
"""

import http.client
import json
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from tests.integration.containers import find_port
from tests.integration.nginx import needs_nginx, read_seconds, run_nginx
from tests.integration.server import MODELS_DIR, Server, read_metric, run_server

pytestmark = [pytest.mark.slow, needs_nginx]

BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/classify", {"inputs": "a delight from start to finish"}),
    ("/translate", {"q": "Two dogs play in the snow.", "source": "en", "target": "de"}),
    ("/classify", {"inputs": ["two hours I will never get back"] * 8}),
    ("/translate", {"q": "Where is the station? " * 6, "source": "en", "target": "de"}),
]
NUM_CLIENTS, PAUSE_SECONDS = 6, 0.02
EJECTED_SECONDS = read_seconds("fail_timeout")
READ_SECONDS = read_seconds("proxy_read_timeout")
# Between requests of the same clients on a machine that has other things to do, too.
QUICK_SECONDS = 2.0
MAX_FAILS = 2


def report(line: str) -> None:
    """Shown by `make rolling`."""
    sys.stdout.write(line + "\n")


@dataclass
class Replica:
    """One server on a port of its own that can be started again.

    Attributes:
        log: the file that its stderr goes to, anew at each start.
    """

    port: int
    log: Path
    num_workers: int
    stack: ExitStack = field(default_factory=ExitStack)
    server: Server | None = None

    def start(self) -> None:
        port = ("--port", str(self.port))
        running = run_server(MODELS_DIR, self.log, *port, num_workers=self.num_workers)
        self.server = self.stack.enter_context(running)

    def send(self, number: signal.Signals) -> None:
        assert self.server is not None
        self.server.process.send_signal(number)

    def stop(self) -> int:
        assert self.server is not None
        return self.server.stop()

    def count_requests(self) -> float:
        assert self.server is not None
        with self.server.open_client() as client:
            return read_metric(client, "seqserve_requests_total", outcome="ok")


@dataclass(frozen=True)
class Outcome:
    """What became of one request.

    Attributes:
        started, ended: monotonic seconds.
        fault: empty where the answer was right.
    """

    started: float
    ended: float
    fault: str

    @property
    def seconds(self) -> float:
        return self.ended - self.started


@dataclass
class Load:
    """Clients that keep their connections and ask one request after the other."""

    url: str
    stopped: Event = field(default_factory=Event)
    outcomes: list[Outcome] = field(default_factory=list)

    def ask_always(self, number: int) -> None:
        with httpx.Client(base_url=self.url, timeout=60.0, trust_env=False) as client:
            while not self.stopped.wait(PAUSE_SECONDS):
                path, body = BODIES[number % len(BODIES)]
                started = time.monotonic()
                fault = ask(client, path, body)
                self.outcomes.append(Outcome(started, time.monotonic(), fault))
                number += 1

    def faults(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.fault]

    def begun_between(self, start: float, end: float) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if start <= outcome.started < end]

    def describe(self) -> str:
        seconds = sorted(outcome.seconds for outcome in self.outcomes)
        return (
            f"{len(seconds)} requests, {len(self.faults())} failed; "
            f"p50 {1000 * seconds[len(seconds) // 2]:.0f} ms, longest {seconds[-1]:.2f} s"
        )


def ask(client: httpx.Client, path: str, body: dict[str, Any]) -> str:
    """The fault of one request's answer; none where it is right."""
    try:
        response = client.post(path, json=body)
    except httpx.TransportError as exc:
        return repr(exc)
    if response.status_code != httpx.codes.OK:
        return f"{response.status_code} {response.text[:100]}"
    answer = response.json()
    is_whole = answer["translatedText"] if path == "/translate" else answer[0][0]["label"]
    return "" if is_whole else f"no answer in {answer}"


@contextmanager
def put_load(url: str) -> Iterator[Load]:
    """Asks while the context lasts; afterwards all outcomes are there."""
    load = Load(url)
    with ThreadPoolExecutor(NUM_CLIENTS) as pool:
        clients = [pool.submit(load.ask_always, number) for number in range(NUM_CLIENTS)]
        try:
            yield load
        finally:
            load.stopped.set()
    for client in clients:
        client.result()


@pytest.fixture
def replicas(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Replica, Replica]]:
    """Two of them, of one worker each; or of as many as the parameter says."""
    num_workers = getattr(request, "param", 1)
    with ExitStack() as stack:
        first, second = (
            Replica(find_port(), tmp_path / name, num_workers) for name in ("first", "second")
        )
        for replica in (first, second):
            stack.enter_context(replica.stack)
            replica.start()
        yield first, second


@pytest.fixture
def url(replicas: tuple[Replica, Replica]) -> Iterator[str]:
    with run_nginx((replicas[0].port, replicas[1].port)) as running:
        yield running


Replicas = tuple[Replica, Replica]


@pytest.mark.parametrize("replicas", [1, 2], indirect=True)
def test_restart_of_one_after_the_other_loses_no_request(replicas: Replicas, url: str) -> None:
    with put_load(url) as load:
        time.sleep(1.0)
        for replica in replicas:
            assert replica.stop() == 0
            replica.start()
            time.sleep(EJECTED_SECONDS + 1.0)
    report(f"rolled: {load.describe()}")

    assert load.faults() == []
    assert len(load.outcomes) > 200
    assert all(replica.count_requests() > 20 for replica in replicas)


def test_replica_that_is_killed_costs_at_most_what_it_was_working_on(
    replicas: Replicas, url: str
) -> None:
    first, _ = replicas
    with put_load(url) as load:
        time.sleep(1.0)
        first.send(signal.SIGKILL)
        killed_at = time.monotonic()
        time.sleep(3.0)
        first.start()
        time.sleep(EJECTED_SECONDS)
    report(f"killed: {load.describe()}")

    assert len(load.faults()) <= NUM_CLIENTS
    assert all(outcome.started <= killed_at <= outcome.ended for outcome in load.faults())
    assert first.count_requests() > 20


def test_replica_that_hangs_is_left_out_and_comes_back(replicas: Replicas, url: str) -> None:
    first, _ = replicas
    with put_load(url) as load:
        time.sleep(1.0)
        first.send(signal.SIGSTOP)
        stopped_at = time.monotonic()
        time.sleep(READ_SECONDS + EJECTED_SECONDS - 1.0)
        first.send(signal.SIGCONT)
        before = first.count_requests()
        time.sleep(EJECTED_SECONDS)
        after = first.count_requests()
    ejected_at = stopped_at + READ_SECONDS + QUICK_SECONDS
    left_out = load.begun_between(ejected_at, stopped_at + READ_SECONDS + EJECTED_SECONDS - 1.0)
    slow = [outcome for outcome in load.outcomes if outcome.seconds > QUICK_SECONDS]
    # Each request that times out lets another one in, until nginx has seen enough failures.
    followed = [outcome for outcome in slow if outcome.started >= stopped_at + READ_SECONDS - 1.0]
    longest = max(outcome.seconds for outcome in left_out)
    report(f"hung: {load.describe()}; {len(slow)} waited; longest later {1000 * longest:.0f} ms")

    # An answer that has begun cannot be asked of the other replica; the event loop writes them one
    # by one, so that no more than one can be cut by the signal.
    assert all(outcome.started <= stopped_at <= outcome.ended for outcome in load.faults())
    assert len(load.faults()) <= 1
    assert MAX_FAILS <= len(slow) <= NUM_CLIENTS
    assert len(followed) < MAX_FAILS
    assert max(outcome.seconds for outcome in slow) < READ_SECONDS + QUICK_SECONDS
    assert len(left_out) > 50
    assert longest < QUICK_SECONDS
    assert after - before > 20


DELAY_SECONDS = 1.0
LONG = {"q": BODIES[1][1]["q"], "source": "en", "target": "de", "beam_size": 8}


@dataclass
class Watch:
    """Looks at a server with a new connection each time, and notes when what it sees changes.

    Attributes:
        seen: monotonic seconds by what was seen first then: 200, 503, or "refused".
    """

    url: str
    seen: dict[int | str, float] = field(default_factory=dict)

    def look(self) -> None:
        while "refused" not in self.seen:
            try:
                found: int | str = httpx.get(f"{self.url}/readyz", trust_env=False).status_code
            except httpx.ConnectError:
                found = "refused"
            except httpx.TransportError:  # the socket closed while we were at it
                continue
            self.seen.setdefault(found, time.monotonic())
            time.sleep(0.01)


def post(connection: http.client.HTTPConnection, body: dict[str, Any]) -> http.client.HTTPResponse:
    path = "/classify" if "inputs" in body else "/translate"
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    response.read()
    return response


def test_stop_is_unready_then_a_pause_then_a_drain(tmp_path: Path) -> None:
    # on a busy machine the work takes longer than the default drain allows
    flags = ("--shutdown-delay-ms", f"{1000 * DELAY_SECONDS:.0f}", "--drain-seconds", "120")
    with run_server(MODELS_DIR, tmp_path / "log", *flags) as server, ExitStack() as stack:
        port = httpx.URL(server.url).port
        idle, used, busy = (
            stack.enter_context(closing_connection("127.0.0.1", port)) for _ in range(3)
        )
        short = BODIES[0][1]
        assert post(idle, short).getheader("connection") is None
        assert post(used, short).getheader("connection") is None
        watch = Watch(server.url)
        watcher = Thread(target=watch.look)
        watcher.start()
        texts = [f"{LONG['q']} " * 3 + str(number) for number in range(256)]
        with ThreadPoolExecutor(1) as pool:
            work = pool.submit(lambda: (post(busy, LONG | {"q": texts}), time.monotonic()))
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            stop_requested_at = time.monotonic()
            while httpx.codes.SERVICE_UNAVAILABLE not in watch.seen:
                time.sleep(0.01)
            late = post(used, short)  # still served, and asked to go
            response, answered_at = work.result()
        code = server.process.wait(60)
        watcher.join()
        idle_end = idle.sock.recv(1) if idle.sock else b"?"
    unready_at, refused_at = watch.seen[503], watch.seen["refused"]
    unready, refused, answered = (
        moment - stop_requested_at for moment in (unready_at, refused_at, answered_at)
    )
    report(
        f"stopped: unready after {unready:.2f} s, closed after {refused:.2f} s, "
        f"drained after {answered:.2f} s"
    )

    assert unready < DELAY_SECONDS / 2
    assert refused >= DELAY_SECONDS
    assert answered > refused, "the work did not take long"
    assert (late.status, late.getheader("connection")) == (200, "close")
    assert response.status == 200
    assert idle_end == b"", "no end in peace"
    assert code == 0


@contextmanager
def closing_connection(host: str, port: int | None) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        yield connection
    finally:
        connection.close()
