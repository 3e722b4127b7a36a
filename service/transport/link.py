"""One end of the connection between a front end and the engine process."""

import asyncio
import contextlib
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping

from service.transport.messages import Message, decode, encode

HEADER = struct.Struct("<I")  # bytes of the frame that follows
# Written and not yet read by the other end; above this the link is backed up.
HIGH_WATER_BYTES = 4 * 1024 * 1024

Handler = Callable[..., None]


class Link(asyncio.Protocol):
    """Sends messages, all of one turn of the event loop as one frame; calls handlers for others'.

    Args:
        handlers: by the messages' names; called with the messages' fields on the event loop.
        on_lost: called once either end has closed the connection.
        waits_for_reader: whether it reads nothing while it is backed up, so that an end that does
            not read what it asked for cannot ask for more. True at one end only: each would wait
            for the other.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        on_lost: Callable[[], None],
        *,
        waits_for_reader: bool,
    ) -> None:
        self._handlers, self._on_lost = handlers, on_lost
        self._waits_for_reader = waits_for_reader
        self._loop, self._loop_thread = asyncio.get_running_loop(), threading.get_ident()
        self._transport: asyncio.Transport | None = None
        self._outbox: deque[Message] = deque()
        self._inbox = bytearray()
        self._is_flush_due = False
        self.is_backed_up = False

    def send(self, message: Message) -> None:
        """Sends a message soon; from any thread. It is dropped if the connection has ended."""
        self._outbox.append(message)
        if self._is_flush_due:
            return
        self._is_flush_due = True
        if threading.get_ident() == self._loop_thread:
            self._loop.call_soon(self._flush)
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the connection
            self._loop.call_soon_threadsafe(self._flush)

    def close(self) -> None:
        """Ends the connection once everything is sent."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    # --- of asyncio.Protocol ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        self._on_lost()

    def pause_writing(self) -> None:
        self.is_backed_up = True
        if self._waits_for_reader and self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self.is_backed_up = False
        if self._waits_for_reader and self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._inbox += data
        start, end = 0, len(self._inbox)
        while end - start >= HEADER.size:
            (length,) = HEADER.unpack_from(self._inbox, start)
            if end - start < HEADER.size + length:
                break
            start += HEADER.size
            with memoryview(self._inbox) as view:
                messages = decode(view[start : start + length])
            start += length
            for name, *fields in messages:
                self._handlers[name](*fields)
        del self._inbox[:start]

    def _flush(self) -> None:
        # Before the outbox is emptied: a thread that adds to it from now on asks for another flush.
        self._is_flush_due = False
        messages = []
        while self._outbox:
            messages.append(self._outbox.popleft())
        if messages and self._transport is not None:
            data = encode(messages)
            self._transport.write(HEADER.pack(len(data)) + data)
