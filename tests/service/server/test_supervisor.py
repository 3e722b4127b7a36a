import signal
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import cast

import pytest

from service.server.supervisor import TICK_SECONDS, Supervisor, WorkerProcess
from service.server.uvicorn_server import open_listener
from service.settings import Settings


def test_no_worker_is_started_once_all_are_to_stop(tmp_path: Path) -> None:
    """A signal may come while a dead worker is replaced, and the new one would not hear of it."""
    settings = Settings(models_dir=tmp_path, device="cpu", workers=2)
    with open_listener("127.0.0.1", 0) as listener:
        supervisor = Supervisor(settings, listener)
        supervisor.stop(signal.SIGTERM, None)
        assert supervisor.run() == 0  # a worker would end with 1: there are no models


@pytest.mark.parametrize(("is_stopping", "seconds"), [(False, 30.0), (True, 70.0)])
def test_silent_worker_is_killed_but_not_while_it_may_still_drain(
    tmp_path: Path, is_stopping: bool, seconds: float
) -> None:
    settings = Settings(models_dir=tmp_path, device="cpu", workers=2, drain_seconds=40.0)
    process = FakeProcess()
    worker = WorkerProcess(cast(ForkProcess, process), 0.0, heartbeats=0, is_ready=True)
    with open_listener("127.0.0.1", 0) as listener:
        supervisor = Supervisor(settings, listener)
    if is_stopping:
        supervisor.stop(signal.SIGTERM, None)

    num_ticks = 0
    while not process.is_killed:
        supervisor._look_at(0, worker)
        num_ticks += 1

    assert num_ticks * TICK_SECONDS == pytest.approx(seconds)


class FakeProcess:
    """It runs, and says nothing."""

    exitcode = None
    is_killed = False

    def kill(self) -> None:
        self.is_killed = True
