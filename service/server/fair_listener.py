"""Accepts connections so that all workers of a server have about as many.

The workers share one listening socket, and a new connection wakes all of them. If the first to be
awake took it, one worker could have nearly all: of 32 connections it had 25 to 30, and a whole run
of requests used one processor.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from service.telemetry.shared_metrics import MetricsSegment

logger = logging.getLogger(__name__)

# A worker that has more connections than another waits this long before it accepts a new one, so
# that the other may. After MAX_DEFERRALS waits in a row it accepts all that come for a while: a
# worker that stands still (a stopped process, say) holds up connections for 30 ms per second.
DEFER_SECONDS = 0.001
MAX_DEFERRALS = 30
IMPATIENT_SECONDS = 1.0
# A surplus of this many is not a reason to wait: connections of a single request come and go all
# the time.
SLACK = 2
# Connections taken in one turn of the event loop. Under load a turn takes tens of milliseconds: one
# at a time, new clients, health checks among them, waited for 9 s behind hundreds of others.
MAX_ACCEPTS = 16
# After an accept that failed for want of file descriptors, say.
RETRY_SECONDS = 1.0

MakeProtocol = Callable[[], asyncio.Protocol]


class OpenConnections(set[Any]):
    """The connections of a server; tells each change of their number.

    Args:
        on_change: called after it.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._on_change = on_change

    def add(self, connection: Any) -> None:
        super().add(connection)
        self._on_change()

    def discard(self, connection: Any) -> None:
        super().discard(connection)
        self._on_change()

    def remove(self, connection: Any) -> None:
        super().remove(connection)
        self._on_change()


class FairListener:
    """Takes connections from a socket of several workers; used as asyncio's servers are.

    Args:
        listener: bound; it listens from now on.
        make_protocol: of uvicorn, one per connection.
        tls: None without TLS.
        backlog: of the socket.
        segments: of all workers; this one writes the number of its connections into its own.
        place: index of its segment.
    """

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: MakeProtocol,
        tls: ssl.SSLContext | None,
        backlog: int,
        segments: Sequence[MetricsSegment],
        place: int,
    ) -> None:
        self.connections = OpenConnections(self._publish)
        self._listener, self._make_protocol, self._tls = listener, make_protocol, tls
        self._own = segments[place]
        self._others = [segment for segment in segments if segment is not self._own]
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._num_deferrals, self._impatient_until = 0, 0.0
        self._is_closed = False
        listener.listen(backlog)
        listener.setblocking(False)
        self._publish()
        self._watch()

    def close(self) -> None:
        """Accepts no more connections; those that are open stay."""
        self._is_closed = True
        self._loop.remove_reader(self._listener.fileno())
        self._own.stop_accepting()

    async def wait_closed(self) -> None:
        """Returns at once: there is nothing but the socket to be closed."""

    def _watch(self) -> None:
        if not self._is_closed:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(seconds, self._watch)

    def _accept(self) -> None:
        """Takes connections, or leaves them to another worker for a moment."""
        for _ in range(MAX_ACCEPTS):
            if not self._has_more_than_another():
                self._num_deferrals, self._impatient_until = 0, 0.0
            elif self._defer():
                return
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return  # another worker has it, or the client is gone
            except OSError as exc:
                logger.error("cannot accept connections: %s; tried again in a second", exc)
                self._pause(RETRY_SECONDS)
                return
            self._start_opening(connection)

    def _start_opening(self, connection: socket.socket) -> None:
        task = self._loop.create_task(self._open(connection))
        self._opening.add(task)
        task.add_done_callback(self._end_opening)
        self._publish()

    async def _open(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if connection.family != socket.AF_UNIX:  # with Nagle's algorithm an answer takes 44 ms
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, connection, ssl=self._tls)
        except OSError as exc:  # a handshake that failed, or a client that is gone
            logger.debug("a connection was not opened: %s", exc)
            connection.close()

    def _end_opening(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        self._publish()

    def _defer(self) -> bool:
        """Leaves a connection alone for a moment, unless that has just been done in vain."""
        now = self._loop.time()
        if now < self._impatient_until:
            return False
        if self._num_deferrals == MAX_DEFERRALS:
            self._num_deferrals, self._impatient_until = 0, now + IMPATIENT_SECONDS
            return False
        self._num_deferrals += 1
        self._pause(DEFER_SECONDS)
        return True

    def _has_more_than_another(self) -> bool:
        accepting = (other.num_connections for other in self._others)
        least = min((num for num in accepting if num is not None), default=None)
        return least is not None and self._num_connections > least + SLACK

    @property
    def _num_connections(self) -> int:
        return len(self.connections) + len(self._opening)

    def _publish(self) -> None:
        if not self._is_closed:
            self._own.num_connections = self._num_connections
