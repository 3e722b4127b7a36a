"""Cancels work when the client that asked for it hangs up."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

T = TypeVar("T")

WATCH_AFTER_SECONDS = 0.1


async def run_watched(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Awaits the work, and cancels it when the client hangs up meanwhile.

    Most answers are there before the watch begins, and do without it: it costs a task.

    Raises:
        ClientDisconnect: the client has hung up.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    watchers: list[asyncio.Task[None]] = []

    def watch() -> None:
        watchers.append(loop.create_task(wait_disconnect(receive)))
        watchers[0].add_done_callback(hang_up)

    def hang_up(watcher: asyncio.Task[None]) -> None:
        if not watcher.cancelled():
            task.cancel()

    timer = loop.call_later(WATCH_AFTER_SECONDS, watch)
    try:
        return await work
    except asyncio.CancelledError:
        if watchers and watchers[0].done():
            task.uncancel()
            raise ClientDisconnect from None
        raise
    finally:
        timer.cancel()
        for watcher in watchers:
            watcher.cancel()


async def wait_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
