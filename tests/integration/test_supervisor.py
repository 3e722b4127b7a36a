"""Several workers behind one port, as real processes."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.integration.server import (
    ROOT,
    Server,
    read_metric,
    run_server,
    wait_until,
)
from tests.integration.workers import (
    MODEL,
    add_version,
    classify,
    count_workers,
    is_alive,
    list_children,
    list_workers,
)

pytestmark = pytest.mark.usefixtures("heeded_signals")

# Two servers may be starting beside this one.
WAIT_SECONDS = 120.0


@contextmanager
def run_two(models_dir: Path, log: Path) -> Iterator[Server]:
    with run_server(models_dir, log, num_workers=2) as running:
        wait_until(lambda: count_workers(running) == 2, WAIT_SECONDS)
        yield running


@pytest.fixture
def server(one_model: Path, tmp_path: Path) -> Iterator[Server]:
    """A server for tests that end it or kill parts of it."""
    with run_two(one_model, tmp_path / "log") as running:
        yield running


@pytest.fixture(scope="module")
def shared(one_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for tests that leave it with two workers that are well."""
    with run_two(one_model, tmp_path_factory.mktemp("shared") / "log") as running:
        yield running


def ask_often(server: Server, count: int) -> list[int]:
    with ThreadPoolExecutor(8) as threads:
        return [
            found.status_code for found in threads.map(lambda _: classify(server), range(count))
        ]


def count_answers(server: Server) -> float:
    with server.open_client() as client:
        return read_metric(client, "seqserve_requests_total", model=MODEL, outcome="ok")


def wait_until_all_count(server: Server, count: float) -> None:
    """Until each worker has told the other what it counted, whichever of them is asked."""
    wait_until(lambda: {count_answers(server) for _ in range(10)} == {count}, WAIT_SECONDS)


def settle_answers(server: Server) -> float:
    """The number of answers so far, once both workers tell the same."""
    wait_until(lambda: len({count_answers(server) for _ in range(10)}) == 1, WAIT_SECONDS)
    return count_answers(server)


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
    return int(fields[11])


def test_connections_are_spread_evenly_over_the_workers(shared: Server) -> None:
    num_connections = 32
    with ExitStack() as stack:
        clients = [stack.enter_context(shared.open_client()) for _ in range(num_connections)]
        for client in clients:
            assert client.get("/livez").is_success
        # the one that is asked knows the other's number of a second ago
        wait_until(
            lambda: sum(read_connections(clients[0]).values()) == num_connections, WAIT_SECONDS
        )
        found = read_connections(clients[0])

    assert len(found) == 2
    assert min(found.values()) >= num_connections / 4  # 16 on a machine that is not busy


def read_connections(client: httpx.Client) -> dict[str, float]:
    """Open connections by worker."""
    text = client.get("/metrics").text
    found = re.findall(r'^seqserve_connections\{worker="(\d)"\} (\S+)$', text, re.MULTILINE)
    return {worker: float(number) for worker, number in found}


def test_connections_are_taken_while_a_worker_with_fewer_stands_still(server: Server) -> None:
    stopped, _ = list_workers(server)
    os.kill(stopped, signal.SIGSTOP)
    try:
        with ExitStack() as stack:
            for _ in range(20):
                client = stack.enter_context(server.open_client())
                assert client.get("/livez", timeout=WAIT_SECONDS).is_success
    finally:
        os.kill(stopped, signal.SIGCONT)


def test_every_request_has_its_line_when_the_workers_have_stopped(server: Server) -> None:
    """Lines are written in batches; the last ones are queued when the signal comes."""
    num_requests = 200
    with server.open_client() as client:
        ids = [
            client.post("/classify", json={"inputs": "good"}).headers["x-request-id"]
            for _ in range(num_requests)
        ]
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(WAIT_SECONDS) == 0

    log = server.log.read_text(encoding="utf-8")
    assert [request_id for request_id in ids if log.count(f"request_id={request_id}") != 1] == []


def test_all_workers_take_requests_and_any_of_them_counts_for_all(shared: Server) -> None:
    answers = settle_answers(shared)
    before = [cpu_ticks(pid) for pid in list_workers(shared)]

    assert set(ask_often(shared, 400)) == {200}

    after = [cpu_ticks(pid) for pid in list_workers(shared)]
    assert all(late > early for early, late in zip(before, after, strict=True))
    wait_until_all_count(shared, answers + 400)


def test_dead_worker_is_replaced_and_nothing_it_counted_is_forgotten(server: Server) -> None:
    ask_often(server, 50)
    wait_until_all_count(server, 50)
    victim, survivor = list_workers(server)

    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not is_alive(victim), WAIT_SECONDS)
    assert classify(server).status_code == 200  # by the other one

    wait_until(lambda: len(set(list_workers(server)) - {victim}) == 2, WAIT_SECONDS)
    assert survivor in list_workers(server)
    assert "ended with code -9; it is replaced in 1 s" in server.read_log()
    wait_until(lambda: count_answers(server) == 51, WAIT_SECONDS)


def ask_until_told_to_leave(server: Server, statuses: list[int]) -> None:
    """Requests over one connection until an answer asks to close it."""
    with server.open_client() as client:
        while True:
            answer = client.post("/classify", json={"inputs": "a fine film"})
            statuses.append(answer.status_code)
            if answer.headers.get("connection") == "close":
                return


def test_signal_stops_all_and_no_request_is_lost(server: Server) -> None:
    workers = list_workers(server)
    statuses: list[list[int]] = [[] for _ in range(8)]
    with ThreadPoolExecutor(len(statuses)) as threads:
        clients = [threads.submit(ask_until_told_to_leave, server, found) for found in statuses]
        wait_until(lambda: all(statuses), WAIT_SECONDS)  # each has a connection
        assert server.stop() == 0
        for client in clients:
            client.result(10)

    assert {status for found in statuses for status in found} == {200}
    assert not any(map(is_alive, workers))


def test_key_press_stops_all(one_model: Path, tmp_path: Path) -> None:
    """A terminal sends the signal to the parent and to the workers at once."""
    with run_server(one_model, tmp_path / "log", num_workers=2) as server:
        wait_until(lambda: count_workers(server) == 2, WAIT_SECONDS)
        for pid in (server.process.pid, *list_workers(server)):
            os.kill(pid, signal.SIGINT)
        assert server.process.wait(30) == 0
        assert "Traceback" not in server.read_log()


def test_workers_end_when_nobody_watches_them(server: Server) -> None:
    workers = list_workers(server)
    server.process.kill()
    wait_until(lambda: not any(map(is_alive, workers)), 30.0)


def test_models_that_cannot_be_loaded_are_said_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "service", "--port", "0", "--workers", "3"]
    result = subprocess.run(
        [*command, "--models-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.count("holds no model") == 1
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_aborted_worker_writes_the_stacks_of_its_threads(server: Server) -> None:
    victim, _ = list_workers(server)
    os.kill(victim, signal.SIGABRT)
    wait_until(lambda: "ended with code -6; it is replaced" in server.read_log(), WAIT_SECONDS)

    log = server.read_log()
    assert "Fatal Python error: Aborted" in log
    assert "uvicorn_server.py" in log  # the event loop
    assert "service/engine/" in log  # an engine's thread


def ask_until(server: Server, is_over: threading.Event, statuses: list[int]) -> None:
    """Requests over a connection that is kept open, with pauses in which it is idle."""
    with server.open_client() as client:
        for number in range(1_000_000):
            if is_over.wait(0.002 * (number % 50)):
                return
            statuses.append(client.post("/classify", json={"inputs": "a fine film"}).status_code)


def has_new_workers(server: Server, before: list[int]) -> bool:
    found = list_workers(server)
    return len(found) == len(before) and not set(found) & set(before)


def test_hangup_replaces_all_workers_and_no_request_is_lost(shared: Server) -> None:
    answers, before = settle_answers(shared), list_workers(shared)
    is_over, statuses = threading.Event(), list[int]()
    with ThreadPoolExecutor(6) as threads:
        clients = [threads.submit(ask_until, shared, is_over, statuses) for _ in range(6)]
        try:
            time.sleep(0.3)
            shared.process.send_signal(signal.SIGHUP)
            wait_until(lambda: has_new_workers(shared, before), WAIT_SECONDS)
            wait_until(lambda: len(statuses) >= 300, WAIT_SECONDS)
        finally:
            is_over.set()
        for client in clients:
            client.result(60)  # raises what the client saw of a lost request

    assert set(statuses) == {200}
    # nor is one forgotten that the old ones counted
    wait_until_all_count(shared, answers + len(statuses))


def test_idle_connection_outlives_the_worker_that_was_told_to_retire(server: Server) -> None:
    """A client may send its next request when its worker is to go; it is answered, then closed."""
    before = list_workers(server)
    with server.open_client() as client:
        assert client.get("/readyz").status_code == 200
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.read_log().count("takes over from") == 1, WAIT_SECONDS)
        time.sleep(1.0)
        answers = [client.get("/readyz") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    wait_until(lambda: has_new_workers(server, before), WAIT_SECONDS)


def test_replacements_read_the_models_again(one_model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(one_model, tmp_path / "repository")
    (version,) = (folder / MODEL).iterdir()
    with run_server(folder, tmp_path / "log", num_workers=2) as server:
        wait_until(lambda: count_workers(server) == 2, WAIT_SECONDS)
        before = list_workers(server)
        add_version(version, "99")
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: has_new_workers(server, before), WAIT_SECONDS)
        assert {classify(server).headers["x-model-version"] for _ in range(10)} == {"99"}


def test_models_that_are_broken_on_disk_do_not_replace_serving_ones(
    one_model: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(one_model, tmp_path / "repository")
    with run_server(folder, tmp_path / "log", num_workers=2) as server:
        wait_until(lambda: count_workers(server) == 2, WAIT_SECONDS)
        before = list_workers(server)
        shutil.rmtree(folder / MODEL)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the restart is off" in server.read_log(), WAIT_SECONDS)
        assert set(ask_often(server, 20)) == {200}
        assert list_workers(server) == before


def test_server_of_one_process_ignores_a_hangup(one_model: Path, tmp_path: Path) -> None:
    with run_server(one_model, tmp_path / "log", num_workers=1) as server:
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "SIGHUP is ignored" in server.read_log(), WAIT_SECONDS)
        assert classify(server).status_code == 200
        assert server.stop() == 0


@pytest.mark.parametrize("num_workers", [1, 2])
def test_server_ends_with_its_terminal(one_model: Path, tmp_path: Path, num_workers: int) -> None:
    command = [sys.executable, "-m", "service", "--port", "0", "--models-dir", str(one_model)]
    terminal, line = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", *command, "--workers", str(num_workers), "--device", "cpu"],
        cwd=ROOT,
        stdin=line,
        stdout=line,
        stderr=line,
    )
    os.close(line)
    read_until(terminal, b"/docs)\r\n")
    workers = list_children(process.pid)
    os.close(terminal)

    assert process.wait(30) == 0
    wait_until(lambda: not any(map(is_alive, workers)), 10.0)


def read_until(terminal: int, words: bytes) -> None:
    found = b""
    while words not in found:
        found += os.read(terminal, 1024)


@pytest.mark.slow
def test_worker_that_hangs_is_replaced(server: Server) -> None:
    hung, survivor = list_workers(server)
    os.kill(hung, signal.SIGSTOP)

    wait_until(lambda: not is_alive(hung), WAIT_SECONDS)
    wait_until(lambda: len(set(list_workers(server)) - {hung}) == 2, WAIT_SECONDS)
    wait_until(lambda: set(ask_often(server, 20)) == {200}, WAIT_SECONDS)

    assert survivor in list_workers(server)
    log = server.read_log()
    assert "does not answer; it is aborted" in log
    assert "ignores SIGABRT; it is killed" in log  # a stopped process does not take it
