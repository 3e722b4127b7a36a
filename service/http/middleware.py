"""What every request passes: its id, its log line, its metrics, its trace."""

import asyncio
import logging
import random
import re
import time
from collections.abc import Iterable
from functools import partial
from typing import Any
from urllib.parse import quote

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.context import AppContext
from service.http.problems import CLIENT_CLOSED, outcome_of, problem_response, status_of
from service.telemetry.metrics import NO_MODEL

logger = logging.getLogger(__name__)

TASK_PATHS = frozenset({"/translate", "/classify"})


SEVERAL_MODELS = "several"


REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


class RequestContextMiddleware:
    """Gives every request its id, its log line, its place in the metrics, and an answer at all.

    The outermost middleware; plain ASGI, so that a hang-up reaches the routes.
    """

    def __init__(self, app: ASGIApp, context: AppContext) -> None:
        self.app = app
        self.context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.monotonic()
        state = scope.setdefault("state", {})
        state["request_id"] = choose_id(scope["headers"])
        state["status"] = 0
        if self.context.traces is not None and is_task(scope):
            state["trace"] = self.context.traces.open(scope, started)
        tracked = partial(self.send_tracked, state, send)
        try:
            await self.app(scope, receive, tracked)
        except ClientDisconnect:
            state["status"] = CLIENT_CLOSED
        except asyncio.CancelledError:
            if not self.context.is_draining or state["status"]:
                raise
            # The time to drain is over: the client is told, and the task ends as it was asked to.
            stopped = problem_response(503, "The server is stopping; send it again.", {})
            await stopped(scope, receive, tracked)
        except Exception:  # the outermost handler: whatever it is, the client gets an answer
            logger.exception("unexpected error", extra={"request_id": state["request_id"]})
            if not state["status"]:
                failure = problem_response(500, "The server failed; see its log.", {})
                await failure(scope, receive, tracked)
            state["status"] = 500  # of an answer that breaks off, too
        finally:
            self.conclude(scope, started)

    async def send_tracked(self, state: dict[str, Any], send: Send, message: Message) -> None:
        """Sends, with the request's id and, from a server that is stopping, a polite close."""
        if message["type"] == "http.response.start":
            state["status"] = message["status"]
            more = [(b"x-request-id", state["request_id"].encode())]
            if self.context.is_draining:
                more.append((b"connection", b"close"))
            message["headers"] = [*message["headers"], *more]
        await send(message)

    def conclude(self, scope: Scope, started: float) -> None:
        """Counts and logs one request, once. Never the text, never a key."""
        ended = time.monotonic()
        seconds, state = ended - started, scope["state"]
        status = state["status"] or CLIENT_CLOSED
        if "error" in state:  # of a stream, whose status was out before
            status = status_of(state["error"])
        model = state.get("model") or NO_MODEL
        if is_task(scope):
            label = SEVERAL_MODELS if "," in model else model
            self.context.metrics.count_request(label, outcome_of(status), seconds)
        trace = state.get("trace")
        if trace is not None:
            known = {"seqserve.request_id": state["request_id"], "seqserve.model": model}
            sent = None if status == CLIENT_CLOSED else status
            trace.close(sent, known, state.get("timings"), ended)
        if not logger.isEnabledFor(logging.INFO):
            return
        logger.info(
            "request",
            extra={
                "method": scope["method"],
                "path": quote(scope["path"])[:200],  # quoted: a path can hold line ends
                "status": status,
                "duration_ms": round(1000 * seconds, 3),
                "model": model,
                "request_id": state["request_id"],
                **(trace.ids if trace is not None else {}),
            },
        )


def is_task(scope: Scope) -> bool:
    return scope["path"] in TASK_PATHS and scope["method"] == "POST"


def choose_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's id, if it is one that can be repeated everywhere; else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return value.decode()
    # no secret, and a system call for each would cost more than all the rest of this file
    return f"{random.getrandbits(128):032x}"
