import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from service.server.listener import open_listener
from service.server.supervisor import Supervisor, choose_processes
from service.settings import Settings
from tests.service.server.processes import serve_for_a_moment, serve_one_but_fail_others

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("given", "num_cpus", "has_gpu", "chosen"),
    [
        ({}, 2, False, ("replicas", 2)),
        ({}, 64, False, ("replicas", 4)),
        ({}, 1, True, ("engine", 1)),
        ({}, 4, True, ("engine", 3)),
        ({}, 64, True, ("engine", 8)),
        ({"topology": "engine"}, 2, False, ("engine", 1)),
        ({"topology": "engine", "workers": 5}, 2, False, ("engine", 5)),
        ({"topology": "replicas"}, 8, True, ("replicas", 1)),
        ({"workers": 1}, 8, True, ("engine", 1)),
    ],
)
def test_processes_are_chosen_for_device_and_machine(
    given: dict[str, object],
    num_cpus: int,
    has_gpu: bool,
    chosen: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.server.supervisor.available_cpus", lambda: num_cpus)
    monkeypatch.setattr("service.server.supervisor.may_use_gpu", lambda _: has_gpu)
    found = choose_processes(Settings.model_validate(given))
    assert (found["topology"], found["workers"]) == chosen


def test_no_worker_is_started_once_all_are_to_stop(tmp_path: Path) -> None:
    """A signal may come before a dead worker is replaced, and the new one would not learn of it."""
    settings = Settings(models_dir=tmp_path, device="cpu", workers=2)
    with open_listener("127.0.0.1", 0) as listener:
        supervisor = Supervisor(settings, listener)
        supervisor.stop(signal.SIGTERM, None)
        assert supervisor.run() == 0  # a worker would end with 1: there are no models


def test_server_gives_up_after_failed_boots_in_a_row(caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(workers=2, device="cpu", max_failed_boots=2)
    started = time.monotonic()
    with open_listener("127.0.0.1", 0) as listener:
        supervisor = Supervisor(settings, listener, serve_one_but_fail_others)
        supervisor.handle_signals()
        assert supervisor.run() == 3

    assert time.monotonic() - started > 1.0
    assert [record.message for record in caplog.records] == [
        "worker 1 ended with code 3; it is replaced in 1 s",
        "worker 1 ended with code 3 before it was ready, as did all of the last 2; "
        "the server stops",
    ]


def test_worker_that_dies_soon_is_replaced_with_a_growing_delay(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = Settings(workers=1, device="cpu", max_failed_boots=1)
    with caplog.at_level(logging.ERROR), open_listener("127.0.0.1", 0) as listener:
        supervisor = Supervisor(settings, listener, serve_for_a_moment)
        supervisor.handle_signals()
        assert supervisor.run() == 0
    delays = [vars(record)["delay_seconds"] for record in caplog.records]
    assert delays == [1.0, 2.0]


@pytest.fixture
def hanging_server() -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.service.server.hanging_server"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


# The signal comes as the fork begins; this thread blocks it, the other one does not.
STOPPED_AT_FORK = """
import os, signal, sys, threading, time
from service.server.supervisor import Supervisor
from service.server.listener import open_listener
from service.settings import Settings
from tests.service.server.processes import serve_one_but_fail_others

def stop():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2)

threading.Thread(target=threading.Event().wait, daemon=True).start()
os.register_at_fork(before=stop)
with open_listener("127.0.0.1", 0) as listener:
    supervisor = Supervisor(Settings(workers=1, device="cpu"), listener, serve_one_but_fail_others)
    supervisor.handle_signals()
    sys.exit(supervisor.run())
"""


def test_signal_that_comes_during_a_fork_reaches_the_new_worker() -> None:
    command = [sys.executable, "-c", STOPPED_AT_FORK]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True) as process:
        try:
            assert process.wait(20) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def read_url(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    found = re.search(r"ready on (http://\S+)", process.stdout.readline())
    assert found is not None
    return found[1]


def test_stacks_of_a_hung_worker_are_in_the_log(hanging_server: "subprocess.Popen[str]") -> None:
    url = read_url(hanging_server)
    with httpx.Client(base_url=url, timeout=30.0, trust_env=False) as client:
        with pytest.raises(httpx.RemoteProtocolError):  # the worker is gone
            client.get("/block")
        retry_until(lambda: client.get("/livez").status_code == 200)
    hanging_server.terminate()
    _, log = hanging_server.communicate(timeout=30)

    assert hanging_server.returncode == 0
    assert "does not answer; it is aborted, its stacks follow" in log
    assert "Fatal Python error: Aborted" in log
    assert 'hanging_server.py", line' in log
    assert "in block_event_loop" in log
    assert "ended with code -6; it is replaced in 1 s" in log


def retry_until(condition: Callable[[], bool]) -> None:
    for _ in range(100):
        try:
            if condition():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("it has not come about in time")
