"""A request that is answered by call-backs, where uvicorn has the cycle of a request."""

import asyncio
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from service.http.direct import DirectExchange, Headers

if TYPE_CHECKING:
    from service.server.protocol import HttpProtocol

CLOSE = (b"connection", b"close")
NO_EVENT = asyncio.Event()  # uvicorn sets that of a cycle whose client has hung up


class DirectCycle(RequestResponseCycle):
    """What uvicorn asks of a cycle, and of a task when it stops, without either.

    So further requests on the connection wait for the answer, and so does a server that stops.

    Args:
        protocol: of the connection.
        exchange: what is answered.
    """

    def __init__(self, protocol: "HttpProtocol", exchange: DirectExchange) -> None:
        self._protocol, self._exchange = protocol, exchange
        self.keep_alive, self.disconnected, self.response_complete = True, False, False
        self.message_event = NO_EVENT
        self.default_headers = protocol.server_state.default_headers

    def start(self) -> None:
        self._protocol.tasks.add(self)  # type: ignore[arg-type]
        self._exchange.start(self.send_answer)

    def send_answer(self, status: int, headers: Headers, body: bytes) -> None:
        closes = CLOSE in headers
        if not (closes or self.keep_alive):
            headers.append(CLOSE)
        protocol = self._protocol
        protocol.write_answer(status, format_headers([*self.default_headers, *headers]), body)
        self._end()
        if closes or not self.keep_alive:
            protocol.transport.close()
        protocol.on_response_complete()

    def hang_up(self) -> None:
        """Ends it without an answer, unless there has been one."""
        if not self.response_complete:
            self._end()
            self._exchange.hang_up()

    def cancel(self, msg: str) -> None:  # noqa: ARG002 - as a task is cancelled
        """Ends it soon, as that of a task: the time to drain is over."""
        self._protocol.loop.call_soon(self._exchange.stop)

    def _end(self) -> None:
        self.response_complete = True
        self._protocol.tasks.discard(self)


def format_headers(headers: Headers) -> bytes:
    """As they go over the wire, each with its line end."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])
