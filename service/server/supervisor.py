"""Several server processes on one port: forked, watched, replaced, and told to stop together.

Each is a whole server with models of its own, or a front end of one engine process. One interpreter
runs on one processor at a time, and a request costs more outside the engine than the engine takes
for a short text.
"""

import logging
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

from service.engine.runtime.device import available_cpus, may_use_gpu
from service.server.backoff import BootBackoff
from service.server.engine_process import run_engine
from service.server.hangup import ends_with_terminal, has_terminal
from service.server.restart import RollingRestart
from service.server.uvicorn_server import announce
from service.server.worker import HANDLED_SIGNALS, STOP_SIGNALS, WorkerProcess, run_worker
from service.settings import Settings
from service.telemetry.shared_metrics import MetricsSegment
from service.transport.mailbox import Mailbox

logger = logging.getLogger(__name__)

MAX_WORKERS = 4
MAX_FRONT_ENDS = 8
TICK_SECONDS = 0.1
# A worker publishes a heartbeat every second; without one for this long it is hung (or stopped).
HUNG_SECONDS = 30.0
# Between SIGABRT, on which a worker writes its stacks, and SIGKILL.
ABORT_SECONDS = 5.0

FORK = multiprocessing.get_context("fork")

# The life of a worker, in its own process: settings, listener, segments, place, and the mailbox of
# its engine, if it has one.
WorkerMain = Callable[..., None]
# That of any process: segments, place.
ProcessMain = Callable[[Sequence[MetricsSegment], int], None]


def choose_processes(settings: Settings) -> dict[str, Any]:
    """The topology and the number of workers for settings that leave them open.

    A GPU is best fed from one queue. Otherwise one process per processor, at most `MAX_WORKERS`;
    before an engine process one less, at most `MAX_FRONT_ENDS`: they have no models. Measured on
    two processors only.
    """
    has_gpu, topology = may_use_gpu(settings.device), settings.topology
    if topology == "auto":
        topology = "engine" if has_gpu else "replicas"
    if topology == "engine":
        default = max(1, min(MAX_FRONT_ENDS, available_cpus() - 1))
    else:
        default = 1 if has_gpu else min(MAX_WORKERS, available_cpus())
    return {"topology": topology, "workers": settings.workers or default}


def run_workers(settings: Settings, listener: socket.socket) -> int:
    """Runs processes as `choose_processes` says until a signal to stop; returns the exit code.

    SIGHUP replaces them one by one, without losing a request. The replacements load the models
    again; settings and code are those of the start.
    """
    supervisor = Supervisor(settings, listener)
    supervisor.handle_signals()
    return supervisor.run()


class Supervisor:
    """Keeps the asked number of workers running, and passes on the signal to stop.

    The first worker tells whether the models can be loaded at all; the others follow it. There is
    one metrics segment more than workers: a replacement starts before its predecessor has ended.

    With an engine process, workers are front ends, each of one engine for as long as it lives, and
    find it by its mailbox; an engine that dies is replaced behind the same mailbox. A restart
    begins with another engine behind another mailbox, for the workers that replace the others; the
    one before is retired with the last of its workers. So no worker meets models that it does not
    know.

    Args:
        settings: `workers` is the number of them, `topology` is not auto.
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
        has_engine = settings.topology == "engine"
        num_processes = settings.workers + 1 + (2 if has_engine else 0)
        self._segments = [MetricsSegment() for _ in range(num_processes)]
        self._mailbox: Mailbox | None = None  # of the engine that new workers belong to
        self._next_mailbox = Mailbox() if has_engine else None  # of one that is not ready yet
        self._processes: dict[int, WorkerProcess] = {}  # by place
        self._announce = announce(listener, settings.scheme)
        self._backoff = BootBackoff(settings.max_failed_boots)
        self._next_start_at = 0.0
        self._restart = RollingRestart(self._begin_restart)
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
        while self._processes or not self._is_stopping:
            self._start_missing()
            self._wait_tick()
            for worker in list(self._processes.values()):
                self._look_at(worker)
            if not self._is_stopping:
                self._restart.advance(self._list_workers(), self._start_replacement)
        return self._code

    def stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Passes a signal on to all workers."""
        self._is_stopping = True
        for worker in self._processes.values():
            worker.send(number)

    def restart(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Has all workers replaced one by one, unless SIGHUP says that the terminal was closed."""
        if self._ends_with_terminal and not has_terminal():
            self.stop(signal.SIGTERM, frame)
        else:
            self._restart.request()

    def _start_missing(self) -> None:
        """Starts the first worker; the others once it has been ready, after a delay if need be."""
        if self._settings.topology == "engine":
            self._tend_engines()
            if self._mailbox is None:
                return
        num_wanted = self._settings.workers if self._has_served else 1
        num_found = sum(not worker.is_retiring for worker in self._list_workers())
        for _ in range(num_wanted - num_found):
            if time.monotonic() >= self._next_start_at:
                self._start_worker()

    def _list_workers(self) -> list[WorkerProcess]:
        """Those that serve clients."""
        return [worker for worker in self._processes.values() if not worker.is_engine]

    def _tend_engines(self) -> None:
        """Starts an engine for each mailbox that has none, and retires those without workers."""
        wanted = {self._mailbox, self._next_mailbox}
        wanted |= {worker.mailbox for worker in self._list_workers()}
        engines = {
            worker.mailbox: worker for worker in self._processes.values() if worker.is_engine
        }
        for mailbox in wanted - engines.keys():
            if mailbox is not None and time.monotonic() >= self._next_start_at:
                main = partial(run_engine, self._settings, mailbox)
                self._start_free(main, mailbox, is_engine=True)
        for mailbox in engines.keys() - wanted:
            if not engines[mailbox].is_retiring:
                engines[mailbox].retire()

    def _begin_restart(self) -> None:
        if self._mailbox is not None:
            self._next_mailbox = Mailbox()

    def _keep_engine(self) -> None:
        """Stays with the engine of before if a restart has ended and no worker has the new one."""
        mailboxes = [worker.mailbox for worker in self._list_workers() if not worker.is_retiring]
        if mailboxes and self._mailbox not in mailboxes:
            self._mailbox = mailboxes[-1]

    def _start_replacement(self) -> WorkerProcess | None:
        """Starts a worker of the restart, once there is an engine for it."""
        return None if self._next_mailbox else self._start_worker()

    def _start_worker(self) -> WorkerProcess | None:
        main = partial(self._worker_main, self._settings, self._listener)
        if self._mailbox is not None:
            main = partial(main, mailbox=self._mailbox)
        return self._start_free(main, self._mailbox)

    def _start_free(
        self, main: ProcessMain, mailbox: Mailbox | None, *, is_engine: bool = False
    ) -> WorkerProcess | None:
        """Starts a process in a free place, if there is one and no signal to stop has come."""
        for place in range(len(self._segments)):
            if place not in self._processes:
                return self._start(place, main, mailbox, is_engine=is_engine)
        return None

    def _start(
        self, place: int, main: ProcessMain, mailbox: Mailbox | None, *, is_engine: bool
    ) -> WorkerProcess | None:
        """Forks, unless a signal to stop has come; one that comes meanwhile reaches the worker.

        Signals are blocked until the worker has handlers of its own: Python forgets those that
        arrive while a fork begins.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED_SIGNALS)
        if not self._is_stopping:
            self._processes[place] = self._fork(place, main, mailbox, is_engine=is_engine)
        # a thread of numpy's may have let one in although this thread blocks them
        if self._is_stopping and (worker := self._processes.get(place)):
            worker.send(signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED_SIGNALS)
        return self._processes.get(place)

    def _fork(
        self, place: int, main: ProcessMain, mailbox: Mailbox | None, *, is_engine: bool
    ) -> WorkerProcess:
        process = FORK.Process(target=main, args=(self._segments, place), name=f"worker-{place}")
        heartbeats = self._segments[place].heartbeats
        process.start()
        return WorkerProcess(
            process, place, time.monotonic(), heartbeats, mailbox=mailbox, is_engine=is_engine
        )

    def _wait_tick(self) -> None:
        """Waits until a worker ends, a tick at most."""
        by_sentinel = {worker.process.sentinel: worker for worker in self._processes.values()}
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
            self._note_ready(worker)
        # A worker that only finishes what it has publishes no heartbeat.
        is_draining = self._is_stopping or worker.is_retiring
        seconds = self._hung_seconds + (self._settings.drain_seconds if is_draining else 0.0)
        worker.stop_if_hung(round(seconds / TICK_SECONDS), round(ABORT_SECONDS / TICK_SECONDS))

    def _note_ready(self, worker: WorkerProcess) -> None:
        self._backoff.record_ready()
        if not worker.is_engine:
            self._has_served = True
            self._announce()
        elif worker.mailbox is self._next_mailbox:
            self._mailbox, self._next_mailbox = self._next_mailbox, None

    def _remove(self, worker: WorkerProcess) -> None:
        """Forgets a worker that ended; says so, and when to replace it, if it was not told to."""
        del self._processes[worker.place]
        self._segments[worker.place].keep_counters()
        code = worker.process.exitcode or 0
        worker.process.close()
        if worker.is_engine and worker.is_retiring and worker.mailbox:
            worker.mailbox.close()
        if self._is_stopping:
            self._code = max(self._code, abs(code))
        elif not self._has_served:
            self._give_up(abs(code))  # it has said why
        elif worker.is_retiring:
            level = logging.ERROR if code else logging.INFO
            logger.log(level, "%s ended with code %d after its replacement", *(worker.title, code))
        elif worker.is_engine and worker.mailbox is self._next_mailbox:
            self._next_mailbox = None
            self._restart.cancel("new engine", code)
        elif self._restart.abort(worker, code):
            self._keep_engine()
        else:
            self._schedule_replacement(worker, code)

    def _schedule_replacement(self, worker: WorkerProcess, code: int) -> None:
        now = time.monotonic()
        self._backoff.record_end(now - worker.started_at, worker.is_ready)
        if self._backoff.is_exhausted:
            logger.error(
                "%s ended with code %d before it was ready, as did all of the last %d; "
                "the server stops",
                *(worker.title, code, self._backoff.num_failed_boots),
            )
            self._give_up(abs(code) or 1)
            return
        delay = self._backoff.delay_seconds
        logger.error(
            "%s ended with code %d; it is replaced in %.0f s",
            *(worker.title, code, delay),
            extra={"delay_seconds": delay},
        )
        self._next_start_at = now + delay

    def _give_up(self, code: int) -> None:
        self._code = code
        self.stop(signal.SIGTERM, None)
