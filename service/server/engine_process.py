"""The engine process: it has device, models, queues and batches, and no HTTP."""

import asyncio
import faulthandler
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

import uvloop

from service.errors import ServingError
from service.http.app import GC_THRESHOLDS, make_collectors
from service.repository.registry import Registry
from service.server.uvicorn_server import SWITCH_SECONDS, StopLoading
from service.server.worker import STOP_SIGNALS, prepare_signals
from service.settings import Settings, SettingsError
from service.telemetry.batched_logs import batch_lines
from service.telemetry.metrics import Metrics
from service.telemetry.shared_metrics import MetricsSegment, SharedMetrics
from service.transport.engine_server import EngineServer
from service.transport.mailbox import Mailbox

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 1.0
TICK_SECONDS = 0.05
# Front ends that were told to stop have ended by then, beyond the time in which they drain.
GRACE_SECONDS = 5.0
# A key press arrives twice: from the terminal, and from the supervisor.
SAME_KEY_SECONDS = 1.0


def run_engine(
    settings: Settings, mailbox: Mailbox, segments: Sequence[MetricsSegment], place: int
) -> None:
    """Runs the whole life of an engine process.

    A signal to stop ends it once no front end is connected any more: they are told to stop by the
    same signal, and have requests until then. A second one, of those that a terminal sends, ends
    it at once.
    """
    prepare_signals()
    sys.setswitchinterval(SWITCH_SECONDS)
    faulthandler.enable()
    collectors = make_collectors()
    shared = SharedMetrics(collectors, segments, place)
    metrics = Metrics(collectors)
    metrics.workers.set(0)  # they are those that answer clients
    try:
        with (
            batch_lines(settings.max_log_lines, metrics.dropped_log_lines_total.inc),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            runner.run(serve_front_ends(settings, mailbox, metrics, shared.publish))
        shared.conclude()
    except (ServingError, SettingsError, OSError) as exc:
        sys.exit(f"seqserve: {exc}")


async def serve_front_ends(
    settings: Settings, mailbox: Mailbox, metrics: Metrics, publish: Callable[[], None]
) -> None:
    """Loads the models and serves front ends until a signal to stop."""
    registry = Registry(settings, metrics)
    await registry.start()
    metrics.ready.set_function(lambda: 0.0 if registry.faults() else 1.0)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    stop = StopOrder(settings.shutdown_delay_ms / 1000 + settings.drain_seconds + GRACE_SECONDS)
    server = EngineServer(registry.list_engines(), registry.faults)
    server.open(mailbox)
    logger.info("the engine process, %d, has %d models", os.getpid(), len(registry.models()))
    parent, next_heartbeat = os.getppid(), 0.0
    while not stop.is_due(server.num_front_ends):
        if time.monotonic() >= next_heartbeat:
            publish()
            next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
            if os.getppid() != parent:  # the supervisor is gone, so no one would stop this process
                stop.give(signal.SIGTERM)
        await asyncio.sleep(TICK_SECONDS)
    server.close()
    await registry.stop()


class StopOrder:
    """Whether the process was told to stop, and may.

    Args:
        max_seconds: that front ends have to end first.
    """

    def __init__(self, max_seconds: float) -> None:
        self._max_seconds = max_seconds
        self._given_at: float | None = None
        self._is_urgent = False
        loading = signal.getsignal(signal.SIGTERM)
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self.give, number)
        if isinstance(loading, StopLoading) and loading.was_asked:
            self.give(signal.SIGTERM)

    def give(self, number: int) -> None:
        if self._given_at is None:
            self._given_at = time.monotonic()
        elif number == signal.SIGINT and self._seconds() > SAME_KEY_SECONDS:
            self._is_urgent = True

    def is_due(self, num_front_ends: int) -> bool:
        if self._given_at is None:
            return False
        return self._is_urgent or self._seconds() > self._max_seconds or not num_front_ends

    def _seconds(self) -> float:
        """Since the order was given."""
        return 0.0 if self._given_at is None else time.monotonic() - self._given_at
