"""The default handling of signals, whatever runs the tests."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from service.server.uvicorn_server import RETIRE_SIGNAL

DEFAULT = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, RETIRE_SIGNAL)


@contextmanager
def usual_signals() -> Iterator[None]:
    """Default handlers and no blocked signal, for this process and those that it starts.

    The tests' own process may have been started with signals ignored (`nohup`) or blocked, and
    coverage handles SIGTERM: Python forgets what arrives while a fork begins if there is a handler
    for it. Also undoes what a test does to signals.
    """
    handlers = {number: signal.getsignal(number) for number in (*DEFAULT, signal.SIGINT)}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    for number in DEFAULT:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    for number, handler in handlers.items():
        signal.signal(number, handler)
