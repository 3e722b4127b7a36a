"""Calls on other threads."""

import threading
from collections.abc import Callable


def call_elsewhere(function: Callable[[], object]) -> BaseException | None:
    """Calls a function on another thread; what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            function()
        except BaseException as exc:
            raised.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised[0] if raised else None
