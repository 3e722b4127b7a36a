"""The one thread that uses a GPU.

A CUDA graph belongs to the thread that recorded it, and while one is being recorded, a call of
another thread spoils it. So all sessions of a GPU, of all models, run on one thread.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Protocol, TypeVar

from service.engine.runtime.device import Device

Result = TypeVar("Result")


class DeviceThread(Protocol):
    """Runs what uses a device."""

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Calls a function where the device may be used, and waits for its result."""
        ...


class CallersThread:
    """A CPU may be used by any thread."""

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        return function(*arguments)


class OwnThread:
    """A thread that runs nothing else."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._ident = self._thread.submit(threading.get_ident).result()

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """See `DeviceThread.call`; what runs there already goes on."""
        if threading.get_ident() == self._ident:
            return function(*arguments)
        return self._thread.submit(function, *arguments).result()


@cache
def find_thread(kind: str, index: int) -> DeviceThread:
    return CallersThread() if kind == "cpu" else OwnThread(f"{kind}-{index}")


def thread_of(device: Device) -> DeviceThread:
    """The thread of a device, the same for all sessions there; a fork has none of its parent's."""
    return find_thread(device.kind, device.index)
