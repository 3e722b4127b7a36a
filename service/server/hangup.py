"""What SIGHUP means: a terminal that was closed, or a request for a restart."""

import os
import signal


def ends_with_terminal() -> bool:
    """Tells at start whether the process should stop once its terminal is closed.

    Not if it has no terminal (a container, systemd), nor under `nohup`, which ignores the signal.
    """
    return signal.getsignal(signal.SIGHUP) is signal.SIG_DFL and has_terminal()


def has_terminal() -> bool:
    """Tells whether the process has a controlling terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
