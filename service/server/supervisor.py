"""Several server processes on one port: forked, watched, replaced, and told to stop together.

Each is a whole server with models of its own. One interpreter runs on one processor at a time, and
a request costs more outside the engine than the engine takes for a short text.
"""

import logging
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from types import FrameType

from service.engine.device import available_cpus, may_use_gpu
from service.server.backoff import BootBackoff
from service.server.hangup import ends_with_terminal, has_terminal
from service.server.restart import RollingRestart
from service.server.uvicorn_server import announce
from service.server.worker import HANDLED_SIGNALS, STOP_SIGNALS, WorkerProcess, run_worker
from service.settings import Settings
from service.telemetry.shared_metrics import MetricsSegment

logger = logging.getLogger(__name__)

MAX_WORKERS = 4
TICK_SECONDS = 0.1
# A worker publishes a heartbeat every second; without one for this long it is hung (or stopped).
HUNG_SECONDS = 30.0
# Between SIGABRT, on which a worker writes its stacks, and SIGKILL.
ABORT_SECONDS = 5.0

FORK = multiprocessing.get_context("fork")

# The life of a worker, in its own process: settings, listener, segments, place.
WorkerMain = Callable[[Settings, socket.socket, Sequence[MetricsSegment], int], None]


def default_workers(device: str) -> int:
    """Processes for a device: one per processor, at most `MAX_WORKERS`; one for a GPU.

    Measured on two processors only. A GPU is best fed from one queue.
    """
    return 1 if may_use_gpu(device) else min(MAX_WORKERS, available_cpus())


def run_workers(settings: Settings, listener: socket.socket, num_workers: int) -> int:
    """Runs `num_workers` processes until a signal to stop arrives; returns the exit code.

    SIGHUP replaces them one by one, without losing a request. The replacements load the models
    again; settings and code are those of the start.
    """
    supervisor = Supervisor(settings.model_copy(update={"workers": num_workers}), listener)
    supervisor.handle_signals()
    return supervisor.run()


class Supervisor:
    """Keeps the asked number of workers running, and passes on the signal to stop.

    The first worker tells whether the models can be loaded at all; the others follow it. There is
    one metrics segment more than workers: a replacement starts before its predecessor has ended.

    Args:
        settings: `workers` is the number of them.
        listener: the socket that all workers accept from.
        worker_main: what a worker runs.
        hung_seconds: without a heartbeat, until a worker is aborted.
    """

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        worker_main: WorkerMain = run_worker,
        hung_seconds: float = HUNG_SECONDS,
    ) -> None:
        self._settings, self._listener = settings, listener
        self._worker_main, self._hung_seconds = worker_main, hung_seconds
        self._segments = [MetricsSegment() for _ in range(settings.workers + 1)]
        self._workers: dict[int, WorkerProcess] = {}
        self._announce = announce(listener, settings.scheme)
        self._backoff = BootBackoff(settings.max_failed_boots)
        self._next_start_at = 0.0
        self._restart = RollingRestart()
        self._ends_with_terminal = False
        self._has_served = self._is_stopping = False
        self._code = 0

    def handle_signals(self) -> None:
        self._ends_with_terminal = ends_with_terminal()
        for number in STOP_SIGNALS:
            signal.signal(number, self.stop)
        signal.signal(signal.SIGHUP, self.restart)

    def run(self) -> int:
        """Watches the workers until all have ended.

        Returns:
            0 if they were told to stop, else the exit code of the worker that could not start.
        """
        while self._workers or not self._is_stopping:
            self._start_missing()
            self._wait_tick()
            for worker in list(self._workers.values()):
                self._look_at(worker)
            if not self._is_stopping:
                self._restart.advance(self._workers.values(), self._start_free)
        return self._code

    def stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Passes a signal on to all workers."""
        self._is_stopping = True
        for worker in self._workers.values():
            worker.send(number)

    def restart(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Has all workers replaced one by one, unless SIGHUP says that the terminal was closed."""
        if self._ends_with_terminal and not has_terminal():
            self.stop(signal.SIGTERM, frame)
        else:
            self._restart.request()

    def _start_missing(self) -> None:
        """Starts the first worker; the others once it has been ready, after a delay if need be."""
        num_wanted = self._settings.workers if self._has_served else 1
        num_found = sum(not worker.is_retiring for worker in self._workers.values())
        for _ in range(num_wanted - num_found):
            if time.monotonic() >= self._next_start_at:
                self._start_free()

    def _start_free(self) -> WorkerProcess | None:
        """Starts a worker in a free place, if there is one and no signal to stop has come."""
        for place in range(len(self._segments)):
            if place not in self._workers:
                return self._start(place)
        return None

    def _start(self, place: int) -> WorkerProcess | None:
        """Forks, unless a signal to stop has come; one that comes meanwhile reaches the worker.

        Signals are blocked until the worker has handlers of its own: Python forgets those that
        arrive while a fork begins.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED_SIGNALS)
        if not self._is_stopping:
            self._workers[place] = self._fork(place)
        # a thread of numpy's may have let one in although this thread blocks them
        if self._is_stopping and (worker := self._workers.get(place)):
            worker.send(signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED_SIGNALS)
        return self._workers.get(place)

    def _fork(self, place: int) -> WorkerProcess:
        process = FORK.Process(
            target=self._worker_main,
            args=(self._settings, self._listener, self._segments, place),
            name=f"worker-{place}",
        )
        heartbeats = self._segments[place].heartbeats
        process.start()
        return WorkerProcess(process, place, time.monotonic(), heartbeats)

    def _wait_tick(self) -> None:
        """Waits until a worker ends, a tick at most."""
        by_sentinel = {worker.process.sentinel: worker for worker in self._workers.values()}
        if not by_sentinel:
            time.sleep(TICK_SECONDS)
        for sentinel in wait(list(by_sentinel), TICK_SECONDS):
            by_sentinel[sentinel].process.join()  # type: ignore[index]

    def _look_at(self, worker: WorkerProcess) -> None:
        if worker.has_ended:
            self._remove(worker)
            return
        was_ready = worker.is_ready
        worker.see_heartbeats(self._segments[worker.place].heartbeats)
        if worker.is_ready and not was_ready:
            self._has_served = True
            self._backoff.record_ready()
            self._announce()
        # A worker that only finishes what it has publishes no heartbeat.
        is_draining = self._is_stopping or worker.is_retiring
        seconds = self._hung_seconds + (self._settings.drain_seconds if is_draining else 0.0)
        worker.stop_if_hung(round(seconds / TICK_SECONDS), round(ABORT_SECONDS / TICK_SECONDS))

    def _remove(self, worker: WorkerProcess) -> None:
        """Forgets a worker that ended; says so, and when to replace it, if it was not told to."""
        del self._workers[worker.place]
        self._segments[worker.place].keep_counters()
        code = worker.process.exitcode or 0
        worker.process.close()
        if self._is_stopping:
            self._code = max(self._code, abs(code))
        elif not self._has_served:
            self._give_up(abs(code))  # it has said why
        elif worker.is_retiring:
            level = logging.ERROR if code else logging.INFO
            logger.log(
                level, "worker %d ended with code %d after its replacement", *(worker.place, code)
            )
        elif not self._restart.abort(worker, code):
            self._schedule_replacement(worker, code)

    def _schedule_replacement(self, worker: WorkerProcess, code: int) -> None:
        now = time.monotonic()
        self._backoff.record_end(now - worker.started_at, worker.is_ready)
        if self._backoff.is_exhausted:
            logger.error(
                "worker %d ended with code %d before it was ready, as did all of the last %d; "
                "the server stops",
                *(worker.place, code, self._backoff.num_failed_boots),
            )
            self._give_up(abs(code) or 1)
            return
        delay = self._backoff.delay_seconds
        logger.error(
            "worker %d ended with code %d; it is replaced in %.0f s",
            *(worker.place, code, delay),
            extra={"delay_seconds": delay},
        )
        self._next_start_at = now + delay

    def _give_up(self, code: int) -> None:
        self._code = code
        self.stop(signal.SIGTERM, None)
