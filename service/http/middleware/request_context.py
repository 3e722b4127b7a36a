"""What every request passes: its id, its log line, its metrics, its trace."""

import http
import logging
import random
import re
import time
from collections.abc import Iterable
from functools import partial
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.context import AGE_KEY, SCOPE_KEY, AppContext, RequestContext
from service.http.responses.problems import CLIENT_CLOSED, outcome_of, status_of
from service.telemetry.metrics import NO_MODEL

# The lines of all requests are by this name, which is the room's.
logger = logging.getLogger(__package__)

TASK_PATHS = frozenset(
    {
        *("/", "/translate", "/classify", "/predict", "/tag"),
        *("/generate", "/generate_stream", "/v1/completions"),
    }
)
SEVERAL_MODELS = "several"
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class RequestContextMiddleware:
    """Gives every request its context, its id, its log line and its place in the metrics.

    The outermost middleware; plain ASGI, so that a hang-up reaches the routes.
    """

    def __init__(self, app: ASGIApp, context: AppContext) -> None:
        self.app = app
        self.context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        age, request_id = scope.get(AGE_KEY, 0.0), choose_id(scope["headers"])
        request = RequestContext(self.context, request_id, time.monotonic() - age, age)
        scope[SCOPE_KEY] = request
        if self.context.traces is not None and is_task(scope):
            request.trace = self.context.traces.open(scope, request.started_at)
        try:
            await self.app(scope, receive, partial(self.send_tracked, request, send))
        finally:
            conclude(scope, request)

    async def send_tracked(self, request: RequestContext, send: Send, message: Message) -> None:
        """Sends, with the request's id and, from a server that is stopping, a polite close."""
        if message["type"] == "http.response.start":
            request.status = message["status"]
            message["headers"] = [*message["headers"], *list_own_headers(request)]
        await send(message)


def list_own_headers(request: RequestContext) -> list[tuple[bytes, bytes]]:
    """Of every answer: the request's id and, from a server that is stopping, a polite close."""
    own = [(b"x-request-id", request.request_id.encode())]
    return [*own, (b"connection", b"close")] if request.app.is_draining else own


def conclude(scope: Scope, request: RequestContext) -> None:
    """Counts and logs one request, once. Never the text, never a key."""
    ended_at = time.monotonic()
    seconds, status = ended_at - request.started_at, request.status or CLIENT_CLOSED
    if request.error is not None:
        status = status_of(request.error)
    model = request.model_names or NO_MODEL
    if is_task(scope):
        label = SEVERAL_MODELS if "," in model else model
        request.app.metrics.count_request(label, outcome_of(status), seconds)
    if request.trace is not None:
        known = {"seqserve.request_id": request.request_id, "seqserve.model": model}
        sent = None if status == CLIENT_CLOSED else status
        request.trace.close(sent, known, request.timings, ended_at)
    if logger.isEnabledFor(logging.INFO) and is_logged(request.app, status):
        log_request(scope, request, status, seconds)


def is_logged(context: AppContext, status: int) -> bool:
    """Whether a request gets a line: all with an error do, of the others a share."""
    ratio = context.settings.access_log_ratio
    return status >= http.HTTPStatus.BAD_REQUEST or ratio == 1.0 or random.random() < ratio


def log_request(scope: Scope, request: RequestContext, status: int, seconds: float) -> None:
    logger.info(
        "request",
        extra={
            "method": scope["method"],
            "path": quote(scope["path"])[:200],  # quoted: a path can hold line ends
            "status": status,
            "duration_ms": round(1000 * seconds, 3),
            "model": request.model_names or NO_MODEL,
            "request_id": request.request_id,
            **(request.trace.ids if request.trace is not None else {}),
        },
    )


def is_task(scope: Scope) -> bool:
    path: str = scope["path"]
    return (path in TASK_PATHS or path.startswith("/models/")) and scope["method"] == "POST"


def choose_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's id, if it is one that can be repeated everywhere; else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return value.decode()
    # not a secret, and a system call for each would cost more than all the rest of this file
    return f"{random.getrandbits(128):032x}"
