"""`/metrics`, by prometheus_client's own app: it knows formats, gzip and `name[]`."""

import re

from fastapi import Response
from prometheus_client import CollectorRegistry, make_asgi_app
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Of a version that does not look like one, prometheus_client's choice of a format fails.
ODD_VERSION = re.compile(rb";\s*version\s*=(?!\d{1,3}(?:\.\d{1,3}){0,3}\s*(?:[;,]|$))[^;,]*")
NOT_ASCII = re.compile(rb"[^\x20-\x7e]")


def make_metrics_app(collector: Collector) -> ASGIApp:
    """An app that renders a collector at each request."""
    if not isinstance(collector, CollectorRegistry):  # which alone can look metrics up by name
        registry = CollectorRegistry(auto_describe=True)
        registry.register(collector)
        collector = registry
    app: ASGIApp = make_asgi_app(collector)
    return app


class MetricsResponse(Response):
    """Hands a request over to prometheus_client's app, in a form that it can read.

    Args:
        app: of `make_metrics_app`.
    """

    def __init__(self, app: ASGIApp) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, tidy_header(value)) for name, value in scope["headers"]]
        query = NOT_ASCII.sub(b"", scope["query_string"])

        async def send_tidied(message: Message) -> None:
            # ASGI wants names in lower case; others would not be found, and it be compressed again
            if message["type"] == "http.response.start":
                named = [(name.lower(), value) for name, value in message["headers"]]
                message = {**message, "headers": named}
            await send(message)

        tidied = {**scope, "headers": headers, "query_string": query}
        await self._app(tidied, receive, send_tidied)


def tidy_header(value: bytes) -> bytes:
    return ODD_VERSION.sub(b"", NOT_ASCII.sub(b"", value))
