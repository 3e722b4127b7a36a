import os
import pty
import signal
from collections.abc import Callable

import pytest

from service.server.hangup import ends_with_terminal, has_terminal
from tests.service.server.processes import FORK


def run_without_terminal(function: Callable[[], bool]) -> bool:
    """What a function says in a session of its own, which has no terminal."""

    def work() -> None:
        os.setsid()
        os._exit(function())

    process = FORK.Process(target=work)
    process.start()
    process.join(10)
    return bool(process.exitcode)


def run_with_terminal(function: Callable[[], bool], handler: signal.Handlers) -> bool:
    """What a function says in a process that has a terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, handler)
        os._exit(function())
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return bool(os.waitstatus_to_exitcode(status))


def test_daemon_has_no_terminal_and_does_not_end_with_one() -> None:
    assert not run_without_terminal(has_terminal)
    assert not run_without_terminal(ends_with_terminal)


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN], ids=["plain", "nohup"])
def test_process_in_a_terminal_ends_with_it_unless_under_nohup(handler: signal.Handlers) -> None:
    assert run_with_terminal(has_terminal, handler)
    assert run_with_terminal(ends_with_terminal, handler) == (handler is signal.SIG_DFL)
