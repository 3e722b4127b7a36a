"""HTTP/1.x on a connection: uvicorn's protocol, put right where clients of other makes meet it."""

import logging
import select
import sys
import time
from collections.abc import Iterable
from typing import Any, cast

import httptools
from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent
from uvicorn._types import Scope as UvicornScope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from service.http.context import AGE_KEY
from service.http.direct import PATH as DIRECT_PATH
from service.http.direct import DirectClassify
from service.http.door import Door, Refusal
from service.server.arrival import measure_age
from service.server.corked_transport import CorkedProtocol
from service.server.direct_cycle import CLOSE, DirectCycle, format_headers

logger = logging.getLogger(__name__)

# What says where the body ends, and whether another request follows it.
FRAMING_HEADERS = (b"content-length", b"transfer-encoding", b"connection")

# At their end: they may stand below a prefix.
WEBSOCKET_PATHS = (b"/tag/stream",)

MAX_URL_BYTES = 65535  # httptools parses no longer one
URL_TOO_LONG = f"The URL has more than {MAX_URL_BYTES} bytes; send the fields in the body."
NOT_HTTP = "The request is not valid HTTP."


class HttpProtocol(CorkedProtocol):
    """uvicorn's protocol over a corked transport, with these differences.

    - A GET of one of `WEBSOCKET_PATHS` that asks for a WebSocket gets one. Any other request that
      asks for an upgrade is served as if it had not asked, which RFC 9110, section 7.8 allows.
      httptools skips its body; another parser reads that.
    - A connection without a running request is closed once nothing has arrived on it for
      `timeout_keep_alive`, and never while there is something to be read.
    - An answer of unknown length to HTTP/1.0 ends with the connection: that version has no chunks.
    - What is not HTTP is answered with 400, without a line in the log.
    - A request that `Door` does not let in is answered as soon as its head is there, and its body
      is thrown away as it comes: it gets neither a scope nor a task.
    - A request that `DirectClassify` takes, whose body has come with its head, gets neither, too.

    Args:
        door: is asked about requests for tasks.
        direct: is asked about those that are let in; None has all answered by the app.
        arguments: of uvicorn.
    """

    url = b""  # until a request begins

    def __init__(self, door: Door, direct: DirectClassify | None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._door, self._direct = door, direct
        self._is_refused = False  # the request that is being read
        self._direct_body: bytes | None = None  # of the request that is being read, if it may be
        self._head_at = 0.0

    def connection_made(self, transport: object) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._await_request()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._feed(data)
        if self._direct_body is not None:  # the rest of the body may be long in coming
            self._leave_to_app()
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and self.transport.get_protocol() is self:
            self._await_request()

    def on_message_begin(self) -> None:
        self._is_refused = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        path = self._door.find_path(self.url)
        if path is None or not self._is_plain():
            super().on_headers_complete()
            return
        refusal = self._door.find_refusal(path, self.headers, self._measure_age)
        if refusal is not None:
            self._refuse(refusal)
        elif path == DIRECT_PATH and self._direct and self._direct.may_take(self.headers):
            self._direct_body, self._head_at = b"", time.monotonic()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._direct_body is not None:
            self._direct_body += body
        elif not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._direct_body is not None and self._answer_directly(self._direct_body):
            return
        # The parser takes a request with an upgrade for complete before it has seen the body.
        if not (self._is_refused or self.parser.should_upgrade()):
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if isinstance(self.cycle, DirectCycle):
            self.cycle.hang_up()

    def write_answer(self, status: int, headers: bytes, body: bytes) -> None:
        """Writes a whole answer.

        Args:
            status: of HTTP.
            headers: each with its line end.
            body: all of it.
        """
        head = b"%b%b\r\n" % (STATUS_LINE[status], headers)
        self.transport.write_whole(head + body)  # type: ignore[attr-defined]

    def _refuse(self, refusal: Refusal) -> None:
        """Answers the request whose head has been read."""
        own = format_headers(self.server_state.default_headers)
        self.write_answer(refusal.status, own + refusal.headers, refusal.body)
        self.server_state.total_requests += 1
        self._is_refused = True

    def _answer_directly(self, body: bytes) -> bool:
        """Has the request that has been read answered, unless it is left to the app."""
        assert self._direct is not None
        age = cast(float, self.scope.get(AGE_KEY, 0.0))
        exchange = self._direct.take(self.headers, body, self._head_at, age)
        if exchange is None:
            self._leave_to_app()
            return False
        self._direct_body = None
        self.cycle = DirectCycle(self, exchange)
        self.cycle.start()
        return True

    def _leave_to_app(self) -> None:
        """Tells uvicorn what has been read, but for the end."""
        body, self._direct_body = self._direct_body, None
        super().on_headers_complete()
        if body:
            super().on_body(body)

    def _is_plain(self) -> bool:
        """Whether an answer can be written at once, and another request may follow it."""
        parser = self.parser
        return (
            parser.get_method() == b"POST"
            and (self.cycle is None or self.cycle.response_complete)
            and parser.should_keep_alive()
            and parser.get_http_version() == "1.1"
            and not (self.expect_100_continue or parser.should_upgrade() or self.flow.write_paused)
            and CLOSE not in self.server_state.default_headers
        )

    def _measure_age(self) -> float:
        age = measure_age(self.transport.get_extra_info("socket"))
        if age:
            self.scope[AGE_KEY] = age  # type: ignore[literal-required]
        return age

    def _should_upgrade(self) -> bool:
        path = self.url.partition(b"?")[0]
        is_websocket = self.scope["method"] == "GET" and path.endswith(WEBSOCKET_PATHS)
        return is_websocket and super()._should_upgrade()

    def timeout_keep_alive_handler(self) -> None:
        is_open = not self.transport.is_closing()
        if is_open and not has_input(self.transport.get_extra_info("socket").fileno()):
            super().timeout_keep_alive_handler()

    def _feed(self, data: bytes) -> None:
        rest = memoryview(data)
        while True:  # once, and once more for each request that asks for an upgrade
            try:
                self.parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as upgrade:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return
                self.parser = self._open_body_parser()
                rest = rest[upgrade.args[0] :]
            except httptools.HttpParserError:
                fault = URL_TOO_LONG if len(self.url) > MAX_URL_BYTES else NOT_HTTP
                logger.debug(fault)
                self.send_400_response(fault)
                return

    def _open_body_parser(self) -> httptools.HttpRequestParser:
        """A parser that has read the head of the present request, without its upgrade."""
        parser = httptools.HttpRequestParser(AfterHead(self))
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        parser.feed_data(format_head(self.scope["http_version"], self.headers))
        return parser

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if cycle.scope["http_version"] == "1.0":
            app = end_by_closing(app, cycle)
        super()._start_asgi_task(cycle, app)

    def _await_request(self) -> None:
        """Closes the connection if nothing arrives in time."""
        self._unset_keepalive_if_required()
        if not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )


class AfterHead:
    """A parser's callbacks that pass on everything to a protocol but the head of the first request.

    Args:
        protocol: has been given that head by another parser.
    """

    def __init__(self, protocol: HttpProtocol) -> None:
        self._protocol = protocol
        self._is_past_head = False

    def on_message_begin(self) -> None:
        if self._is_past_head:
            self._protocol.on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._is_past_head:
            self._protocol.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_past_head:
            self._protocol.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_past_head:
            self._protocol.on_headers_complete()
        self._is_past_head = True

    def on_body(self, body: bytes) -> None:
        self._protocol.on_body(body)

    def on_message_complete(self) -> None:
        self._protocol.on_message_complete()


def format_head(http_version: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head of a request that has a body like that of the one with these headers."""
    kept = [b"%s: %s\r\n" % header for header in headers if header[0] in FRAMING_HEADERS]
    return b"POST / HTTP/%s\r\n%s\r\n" % (http_version.encode(), b"".join(kept))


def end_by_closing(app: ASGI3Application, cycle: RequestResponseCycle) -> ASGI3Application:
    """The app, with answers of unknown length sent as they are instead of in chunks.

    Args:
        app: answers the request.
        cycle: of the request; uvicorn closes the connection after it anyway.
    """
    is_unframed = False

    async def answer(
        scope: UvicornScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        async def send_unframed(message: ASGISendEvent) -> None:
            nonlocal is_unframed
            if message["type"] == "http.response.start":
                names = {name.lower() for name, _ in message.get("headers", [])}
                is_unframed = b"content-length" not in names
                if is_unframed:
                    cycle.chunked_encoding, cycle.expected_content_length = False, sys.maxsize
            elif is_unframed and message["type"] == "http.response.body":
                has_more = message.get("more_body", False)
                length = sys.maxsize if has_more else len(message.get("body", b""))
                cycle.expected_content_length = length
            await send(message)

        await app(scope, receive, send_unframed)

    return answer


def has_input(file_number: int) -> bool:
    """Whether bytes, or the end of the connection, wait to be read."""
    poll = select.poll()
    poll.register(file_number, select.POLLIN)
    return bool(poll.poll(0))
