import os
import signal
from multiprocessing.context import ForkProcess
from typing import cast

import pytest

from service.server.uvicorn_server import RETIRE_SIGNAL
from service.server.worker import WorkerProcess
from tests.service.server.processes import FORK, sleep_long


def make_worker(process: ForkProcess | None = None, is_ready: bool = True) -> WorkerProcess:
    return WorkerProcess(
        process or cast(ForkProcess, FakeProcess()), 0, 0.0, heartbeats=7, is_ready=is_ready
    )


class FakeProcess:
    """A process that has not been started."""

    pid = None
    exitcode = None


def test_heartbeat_makes_a_worker_ready() -> None:
    worker = make_worker(is_ready=False)
    worker.see_heartbeats(7)
    assert not worker.is_ready
    worker.see_heartbeats(8)
    assert worker.is_ready


def test_ticks_without_a_heartbeat_are_counted_until_the_next_one() -> None:
    worker = make_worker()
    for _ in range(3):
        worker.see_heartbeats(7)
    assert worker.missed_ticks == 3
    worker.see_heartbeats(8)
    assert worker.missed_ticks == 0


def test_loading_worker_misses_no_heartbeat() -> None:
    worker = make_worker(is_ready=False)
    worker.see_heartbeats(7)
    assert worker.missed_ticks == 0


@pytest.mark.parametrize(
    ("missed_ticks", "number"), [(5, signal.SIGABRT), (8, signal.SIGKILL)], ids=str
)
def test_hung_worker_is_aborted_then_killed(missed_ticks: int, number: int) -> None:
    process = FORK.Process(target=sleep_long)
    process.start()
    worker = make_worker(process)
    for worker.missed_ticks in set(range(20)) - {5, 8}:
        worker.stop_if_hung(hung_ticks=5, abort_ticks=3)
    process.join(0.2)
    assert not worker.has_ended

    worker.missed_ticks = missed_ticks
    worker.stop_if_hung(hung_ticks=5, abort_ticks=3)
    process.join(10)
    assert process.exitcode == -number


@pytest.mark.parametrize(
    ("is_ready", "number"), [(True, RETIRE_SIGNAL), (False, signal.SIGTERM)], ids=str
)
def test_retiring_worker_gets_the_signal_that_it_knows(is_ready: bool, number: int) -> None:
    process = FORK.Process(target=sleep_long)
    process.start()
    worker = make_worker(process, is_ready)
    worker.retire()
    process.join(10)
    assert worker.is_retiring
    assert process.exitcode == -number


def test_process_that_has_ended_gets_no_signal() -> None:
    process = FORK.Process(target=os.getpid)
    process.start()
    process.join(10)
    worker = make_worker(process)
    worker.send(signal.SIGKILL)
    assert process.exitcode == 0
