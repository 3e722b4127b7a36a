"""What forked processes of these tests run."""

import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence

from service.server.worker import prepare_signals
from service.settings import Settings
from service.telemetry.shared_metrics import MetricsSegment

FORK = multiprocessing.get_context("fork")


def sleep_long() -> None:
    # pytest's own faulthandler would write a stack
    signal.signal(signal.SIGABRT, signal.SIG_DFL)
    time.sleep(60)


def serve_one_but_fail_others(
    settings: Settings, listener: socket.socket, segments: Sequence[MetricsSegment], place: int
) -> None:
    """A worker that is ready and does nothing in the first place; fails to start in all others."""
    prepare_signals()
    if place:
        sys.exit(3)
    while True:
        segments[place].write([])
        time.sleep(0.05)


def serve_for_a_moment(
    settings: Settings, listener: socket.socket, segments: Sequence[MetricsSegment], place: int
) -> None:
    """A worker that dies soon after it was ready; the third one tells all to stop."""
    prepare_signals()
    if segments[place].heartbeats >= 2 * BEATS_PER_LIFE:
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(60)
    segments[place].write([])
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGKILL)


# One of its own, and one of the supervisor, which drops the gauges of a worker that ended.
BEATS_PER_LIFE = 2
