"""Several server processes on one port: forked, watched, replaced, and told to stop together.

Each is a whole server with models of its own. One interpreter runs on one processor at a time, and
what a request costs besides the engine is more than the engine takes for a short text.
"""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from types import FrameType

from service.engine.device import available_cpus, may_use_gpu
from service.errors import ServingError
from service.http.app import create_app, make_collectors
from service.server.uvicorn_server import announce, run_app, stop_loading
from service.settings import Settings, SettingsError
from service.telemetry.shared_metrics import MetricsSegment, SharedMetrics

logger = logging.getLogger(__name__)

MAX_WORKERS = 4
TICK_SECONDS = 0.1
# A worker beats every second. One that misses so many is hung (or stopped) and gets replaced.
HUNG_TICKS = 300
# A worker that dies as soon as it runs would otherwise keep a processor busy with its beginnings.
START_PAUSE_SECONDS = 1.0

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
FORK = multiprocessing.get_context("fork")


def default_workers(device: str) -> int:
    """Processes for a device: one per processor, at most `MAX_WORKERS`; one for a GPU.

    Measured on two processors only. A GPU is best fed from one queue.
    """
    return 1 if may_use_gpu(device) else min(MAX_WORKERS, available_cpus())


@dataclass
class WorkerProcess:
    """A process and what is known of its life.

    Attributes:
        started_at: monotonic seconds.
        heartbeats: at the last look; `missed_ticks` counts the looks since that number changed.
        is_ready: whether it has ever beaten.
    """

    process: ForkProcess
    started_at: float
    heartbeats: int
    missed_ticks: int = 0
    is_ready: bool = False


def run_workers(settings: Settings, listener: socket.socket, num_workers: int) -> int:
    """Serves with so many processes until a signal; returns the exit code."""
    supervisor = Supervisor(settings.model_copy(update={"workers": num_workers}), listener)
    for number in STOP_SIGNALS:
        signal.signal(number, supervisor.stop)
    return supervisor.run()


class Supervisor:
    """Keeps a worker in every place, and passes on the signal to stop.

    The first worker tells whether the models can be loaded at all; the others follow it.
    """

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings, self._listener = settings, listener
        self._segments = [MetricsSegment() for _ in range(settings.workers)]
        self._workers: dict[int, WorkerProcess] = {}
        self._announce = announce(listener)
        self._is_stopping = False
        self._code = 0

    def run(self) -> int:
        """Until all workers have ended; 0 if they were told to, else what the first one said."""
        self._start(0)
        while self._workers:
            by_sentinel = {
                worker.process.sentinel: worker.process for worker in self._workers.values()
            }
            for sentinel in wait(list(by_sentinel), TICK_SECONDS):
                by_sentinel[sentinel].join()  # type: ignore[index]
            for place, worker in list(self._workers.items()):
                self._look_at(place, worker)
            if any(worker.is_ready for worker in self._workers.values()):
                self._announce()
                self._fill_places()
        return self._code

    def stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Passes a signal on to all workers."""
        self._is_stopping = True
        for worker in self._workers.values():
            if worker.process.pid is not None and worker.process.exitcode is None:
                os.kill(worker.process.pid, number)

    def _start(self, place: int) -> None:
        """Starts a worker, unless all are to stop; no signal comes in between."""
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        if not self._is_stopping:
            self._workers[place] = self._fork(place)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def _fork(self, place: int) -> WorkerProcess:
        process = FORK.Process(
            target=run_worker,
            args=(self._settings, self._listener, self._segments, place),
            name=f"worker-{place}",
        )
        heartbeats = self._segments[place].heartbeats
        process.start()
        return WorkerProcess(process, time.monotonic(), heartbeats)

    def _fill_places(self) -> None:
        for place in range(len(self._segments)):
            if place not in self._workers:
                self._start(place)

    def _look_at(self, place: int, worker: WorkerProcess) -> None:
        if worker.process.exitcode is not None:
            self._bury(place, worker)
        elif (heartbeats := self._segments[place].heartbeats) != worker.heartbeats:
            worker.heartbeats, worker.missed_ticks, worker.is_ready = heartbeats, 0, True
        elif worker.is_ready:
            worker.missed_ticks += 1
            # one that finishes what it has beats no more
            spared = self._settings.drain_seconds / TICK_SECONDS if self._is_stopping else 0.0
            if worker.missed_ticks == HUNG_TICKS + round(spared):
                logger.error("worker %d does not answer; it is replaced", place)
                worker.process.kill()

    def _bury(self, place: int, worker: WorkerProcess) -> None:
        """Replaces a worker that ended, unless it was to end or none has ever been ready."""
        del self._workers[place]
        code = worker.process.exitcode or 0
        worker.process.close()
        if self._is_stopping:
            self._code = max(self._code, abs(code))
            return
        if not worker.is_ready and not any(each.is_ready for each in self._workers.values()):
            self._code = abs(code)  # it has said why
            self.stop(signal.SIGTERM, None)
            return
        logger.error("worker %d ended with code %d; it is replaced", place, code)
        time.sleep(max(0.0, worker.started_at + START_PAUSE_SECONDS - time.monotonic()))
        self._start(place)


def run_worker(
    settings: Settings, listener: socket.socket, segments: Sequence[MetricsSegment], place: int
) -> None:
    """The whole life of a worker, in its own process."""
    for number in STOP_SIGNALS:
        signal.signal(number, stop_loading)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    parent = os.getppid()
    collectors = make_collectors()
    shared = SharedMetrics(collectors, segments, place)

    def heartbeat() -> None:
        shared.publish()
        if os.getppid() != parent:  # nobody is left who would stop it
            os.kill(os.getpid(), signal.SIGTERM)

    try:
        app = create_app(settings, collector_registry=collectors, collector=shared)
        run_app(app, settings, listener, heartbeat)
    except (ServingError, SettingsError, OSError) as exc:
        sys.exit(f"seqserve: {exc}")
