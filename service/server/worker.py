"""A worker process: its life inside, and what its supervisor sees of it from outside."""

import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkProcess

from service.errors import ServingError
from service.http.app import create_app, make_collectors
from service.server.uvicorn_server import RETIRE_SIGNAL, Seat, StopLoading, run_app
from service.settings import Settings, SettingsError
from service.telemetry.shared_metrics import MetricsSegment, SharedMetrics
from service.transport.mailbox import Mailbox
from service.transport.remote_engine import RemoteEngine

logger = logging.getLogger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# What a supervisor acts on; SIGHUP may stop it, too.
HANDLED_SIGNALS = (*STOP_SIGNALS, signal.SIGHUP)


@dataclass(eq=False)
class WorkerProcess:
    """A process and what is known of its life.

    Attributes:
        place: index of its metrics segment.
        started_at: monotonic seconds.
        heartbeats: at the last look; `missed_ticks` counts the looks since that number changed.
        is_ready: whether it has published a heartbeat since it was started.
        is_retiring: whether it was told to stop because its replacement is ready.
        mailbox: of an engine process, or of the one that a front end leaves connections for.
        is_engine: whether it is the engine process.
    """

    process: ForkProcess
    place: int
    started_at: float
    heartbeats: int
    missed_ticks: int = 0
    is_ready: bool = False
    is_retiring: bool = False
    mailbox: Mailbox | None = None
    is_engine: bool = False

    @property
    def title(self) -> str:
        """What it is, for messages."""
        return f"engine {self.place}" if self.is_engine else f"worker {self.place}"

    @property
    def has_ended(self) -> bool:
        return self.process.exitcode is not None

    def see_heartbeats(self, heartbeats: int) -> None:
        """Notes the heartbeats counted so far; called once per tick."""
        if heartbeats != self.heartbeats:
            self.heartbeats, self.missed_ticks, self.is_ready = heartbeats, 0, True
        elif self.is_ready:
            self.missed_ticks += 1

    def stop_if_hung(self, hung_ticks: int, abort_ticks: int) -> None:
        """Sends SIGABRT after `hung_ticks` missed ones, SIGKILL `abort_ticks` after that.

        On SIGABRT faulthandler writes the stacks of all threads to stderr, so that the log shows
        where the worker hung. A process that is stopped or stuck in the kernel needs the second.
        """
        if self.missed_ticks == hung_ticks:
            logger.error(
                "%s does not answer; it is aborted, its stacks follow",
                self.title,
                extra={"worker_pid": self.process.pid},
            )
            self.send(signal.SIGABRT)
        elif self.missed_ticks == hung_ticks + abort_ticks:
            logger.error("%s ignores SIGABRT; it is killed", self.title)
            self.send(signal.SIGKILL)

    def retire(self) -> None:
        """Tells the worker to stop without losing a request, while others serve on."""
        self.is_retiring = True
        # One that still loads has no requests, and would die of the other signal. An engine has
        # none either: its front ends are gone.
        is_serving = self.is_ready and not self.is_engine
        self.send(RETIRE_SIGNAL if is_serving else signal.SIGTERM)

    def send(self, number: int) -> None:
        if self.process.pid is not None and not self.has_ended:
            os.kill(self.process.pid, number)


def run_worker(
    settings: Settings,
    listener: socket.socket,
    segments: Sequence[MetricsSegment],
    place: int,
    mailbox: Mailbox | None = None,
) -> None:
    """Runs the whole life of a worker, in its own process.

    Args:
        settings: see `Settings`.
        listener: the socket of all workers.
        segments: of all workers.
        place: of its own segment.
        mailbox: of the engine process, if there is one.
    """
    prepare_signals()
    parent = os.getppid()
    collectors = make_collectors()
    shared = SharedMetrics(collectors, segments, place)
    engine = RemoteEngine(mailbox) if mailbox else None

    def heartbeat() -> None:
        shared.publish()
        is_outdated = engine is not None and engine.is_outdated
        # if the supervisor is gone, no one would stop this worker
        if is_outdated or os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    try:
        app = create_app(settings, engine=engine, collector_registry=collectors, collector=shared)
        run_app(app, settings, listener, heartbeat, Seat(segments, place))
        shared.conclude()
    except (ServingError, SettingsError, OSError) as exc:
        sys.exit(f"seqserve: {exc}")


def prepare_signals() -> None:
    """Replaces the handlers that a worker has from its supervisor, then lets signals in."""
    stop_loading = StopLoading()
    for number in STOP_SIGNALS:
        signal.signal(number, stop_loading)
    # A terminal or `pkill` may send it to all processes; the supervisor alone acts on it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED_SIGNALS)
