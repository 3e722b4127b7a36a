"""Server-sent events: how they look on the wire, and the response that sends them.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.http.requests.disconnect import run_watched


def format_event(name: str, data: str) -> bytes:
    """One event; the data is one line, as JSON without indentation is."""
    return f"event: {name}\ndata: {data}\n\n".encode()


def format_data(data: str) -> bytes:
    """An event without a name."""
    return f"data: {data}\n\n".encode()


class EventResponse(StreamingResponse):
    """Sends events as they come; closes their source in the end, and when the client hangs up."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None], headers: dict[str, str]) -> None:
        # a proxy that collects the answer before it passes it on would undo the streaming
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", **headers}
        super().__init__(events, headers=headers)
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await run_watched(receive, self._send_events(send))

    async def _send_events(self, send: Send) -> None:
        async with aclosing(self._events):
            await self.stream_response(send)
