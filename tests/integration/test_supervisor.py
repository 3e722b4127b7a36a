"""Several workers behind one port, as real processes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.server import (
    MODELS_DIR,
    ROOT,
    Server,
    read_metric,
    run_server,
    wait_until,
)

MODEL = "sentiment-en"
WAIT_SECONDS = 60.0


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small model: these tests start many servers."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(MODELS_DIR / MODEL, folder / MODEL)
    return folder


@pytest.fixture
def server(models_dir: Path, tmp_path: Path) -> Iterator[Server]:
    with run_server(models_dir, tmp_path / "log", num_workers=2) as running:
        wait_until(lambda: count_workers(running) == 2, WAIT_SECONDS)
        yield running


def count_workers(server: Server) -> float:
    with server.open_client() as client:
        return read_metric(client, "seqserve_workers")


def list_workers(server: Server) -> list[int]:
    return list_children(server.process.pid)


def list_children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text(encoding="ascii").split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def ask(server: Server) -> httpx.Response:
    """One request over a connection of its own, which any of the workers may take."""
    with server.open_client() as client:
        return client.post("/classify", json={"inputs": "a fine film"})


def ask_often(server: Server, count: int) -> list[int]:
    with ThreadPoolExecutor(8) as threads:
        return [found.status_code for found in threads.map(lambda _: ask(server), range(count))]


def count_answers(server: Server) -> float:
    with server.open_client() as client:
        return read_metric(client, "seqserve_requests_total", model=MODEL, outcome="ok")


def wait_until_all_count(server: Server, count: int) -> None:
    """Until each worker has told the other what it counted, whichever of them is asked."""
    wait_until(lambda: {count_answers(server) for _ in range(10)} == {count}, 20.0)


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
    return int(fields[11])


def test_all_workers_take_requests_and_any_of_them_counts_for_all(server: Server) -> None:
    before = [cpu_ticks(pid) for pid in list_workers(server)]

    assert set(ask_often(server, 400)) == {200}

    after = [cpu_ticks(pid) for pid in list_workers(server)]
    assert all(late > early for early, late in zip(before, after, strict=True))
    wait_until_all_count(server, 400)


def test_dead_worker_is_replaced_and_nothing_it_counted_is_forgotten(server: Server) -> None:
    ask_often(server, 50)
    wait_until_all_count(server, 50)
    victim, survivor = list_workers(server)

    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not is_alive(victim), WAIT_SECONDS)
    assert ask(server).status_code == 200  # by the other one

    wait_until(lambda: len(set(list_workers(server)) - {victim}) == 2, WAIT_SECONDS)
    assert survivor in list_workers(server)
    assert "ended with code -9; it is replaced" in server.read_log()
    wait_until(lambda: count_answers(server) == 51, 10.0)


def ask_until_told_to_leave(server: Server) -> list[int]:
    """Requests over one connection until an answer asks to close it."""
    statuses = []
    with server.open_client() as client:
        while True:
            answer = client.post("/classify", json={"inputs": "a fine film"})
            statuses.append(answer.status_code)
            if answer.headers.get("connection") == "close":
                return statuses


def test_signal_stops_all_and_no_request_is_lost(server: Server) -> None:
    workers = list_workers(server)
    with ThreadPoolExecutor(8) as threads:
        clients = [threads.submit(ask_until_told_to_leave, server) for _ in range(8)]
        time.sleep(0.5)
        assert server.stop() == 0
        statuses = [status for client in clients for status in client.result(10)]

    assert set(statuses) == {200}
    assert not any(map(is_alive, workers))


def test_key_press_stops_all(models_dir: Path, tmp_path: Path) -> None:
    """A terminal sends the signal to the parent and to the workers at once."""
    with run_server(models_dir, tmp_path / "log", num_workers=2) as server:
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


@pytest.mark.slow
def test_worker_that_hangs_is_replaced(server: Server) -> None:
    hung, survivor = list_workers(server)
    os.kill(hung, signal.SIGSTOP)

    wait_until(lambda: not is_alive(hung), WAIT_SECONDS)
    wait_until(lambda: len(set(list_workers(server)) - {hung}) == 2, WAIT_SECONDS)
    wait_until(lambda: set(ask_often(server, 20)) == {200}, WAIT_SECONDS)

    assert survivor in list_workers(server)
    assert "does not answer; it is replaced" in server.read_log()
