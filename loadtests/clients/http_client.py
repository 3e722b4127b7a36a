"""The least HTTP client that measures well: keep-alive connections, one thread, no event loop.

A client that costs as much as the server is measured instead of it; over asyncio and uvloop the
same took a quarter to a half more.
"""

import errno
import os
import random
import re
import select
import socket
import time
from collections.abc import Callable

from loadtests.clients.new_words import renew_words

HEAD_END = b"\r\n\r\n"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
RECEIVE_BYTES = 65536
FAILED = 0
"""Stands for the status if there was no whole answer."""


class Connection:
    """One request under way at a time.

    Attributes:
        tag: of the request under way, for the sender; negative if there is none.
        unsent: a request that waits until the connection is made.
    """

    __slots__ = ("is_connecting", "received", "socket", "tag", "unsent")

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.is_connecting = True
        self.tag = -1
        self.received = self.unsent = b""


class Client:
    """Connections to one server, and the wait for what comes of them.

    Args:
        port: of a server on this machine.
        on_answer: called with the connection, the tag of its request and the status of the answer;
            with FAILED when the connection is lost, which is then not to be used again.
    """

    def __init__(self, port: int, on_answer: Callable[[Connection, int, int], None]) -> None:
        self._port, self._on_answer = port, on_answer
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._rng = random.Random()

    @property
    def num_connections(self) -> int:
        return len(self._connections)

    def open(self) -> Connection:
        """A connection that can be sent on at once, although it takes its time to be made.

        Raises:
            OSError: it cannot even be tried.
        """
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(("127.0.0.1", self._port))
        if code not in (0, errno.EINPROGRESS):
            sock.close()
            raise OSError(code, os.strerror(code))
        connection = self._connections[sock.fileno()] = Connection(sock)
        self._epoll.register(sock.fileno(), select.EPOLLOUT)
        return connection

    def send(self, connection: Connection, request: bytes, tag: int) -> None:
        """Sends a request; it is answered from within a later `wait`.

        Args:
            connection: idle.
            request: all of it; goes out with other new words, see `new_words`.
            tag: not negative.
        """
        connection.tag, connection.received = tag, b""
        if connection.is_connecting:
            connection.unsent = request
            return
        try:
            sent = connection.socket.send(renew_words(request, self._rng))
        except OSError:
            sent = 0  # the server closed it: `wait` sees that, too, and tells of it
        if 0 < sent < len(request):
            raise RuntimeError("a request does not fit into the socket's buffer")

    def wait(self, until: float) -> None:
        """Takes the answers that are there, or the first that come; returns at the time given.

        Args:
            until: monotonic seconds.
        """
        # epoll's own timeout counts whole milliseconds; select on the epoll counts microseconds
        select.select((self._epoll,), (), (), max(0.0, until - time.monotonic()))
        for descriptor, events in self._epoll.poll(0):
            connection = self._connections[descriptor]
            if connection.is_connecting:
                self._finish_connect(connection, events)
            else:
                self._receive(connection)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.socket.close()
        self._epoll.close()

    def _finish_connect(self, connection: Connection, events: int) -> None:
        if events & (select.EPOLLERR | select.EPOLLHUP):
            self._lose(connection)
            return
        connection.is_connecting = False
        self._epoll.modify(connection.socket.fileno(), select.EPOLLIN)
        if connection.tag >= 0:
            self.send(connection, connection.unsent, connection.tag)

    def _receive(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(RECEIVE_BYTES)
        except OSError:
            data = b""
        if not data:
            self._lose(connection)
            return
        connection.received += data
        status = read_status(connection.received)
        if status is not None and connection.tag >= 0:
            tag, connection.tag = connection.tag, -1
            self._on_answer(connection, tag, status)

    def _lose(self, connection: Connection) -> None:
        self._connections.pop(connection.socket.fileno())
        connection.socket.close()
        tag, connection.tag = connection.tag, -1
        if tag >= 0:
            self._on_answer(connection, tag, FAILED)


def is_usable(connection: Connection) -> bool:
    return connection.socket.fileno() >= 0


def read_status(received: bytes) -> int | None:
    """Status of an answer once it is whole.

    Raises:
        ValueError: the answer has no Content-Length, which this client needs.
    """
    head_end = received.find(HEAD_END)
    if head_end < 0:
        return None
    match = CONTENT_LENGTH.search(received, 0, head_end)
    if match is None:
        raise ValueError(f"an answer without Content-Length: {received[:head_end]!r}")
    is_whole = len(received) >= head_end + len(HEAD_END) + int(match[1])
    return int(received[9:12]) if is_whole else None


def format_request(path: str, body: str, headers: str = "") -> bytes:
    """A POST of JSON, as it goes over the wire."""
    content = body.encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{headers}"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def format_get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
