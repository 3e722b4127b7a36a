"""Gives a request an answer if the app fails or has no time left."""

import asyncio
import logging

from fastapi import Response
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.context import find_request_context
from service.http.responses.problems import CLIENT_CLOSED, problem_response

logger = logging.getLogger(__name__)


class FailureMiddleware:
    """Turns what nothing inside has handled into an answer.

    Stands inside CORS, so that pages of other origins can read these answers, too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = find_request_context(scope)
        try:
            await self.app(scope, receive, send)
        except ClientDisconnect:
            request.status = CLIENT_CLOSED
        except asyncio.CancelledError:
            if not request.app.is_draining or request.status:
                raise
            # The time to drain is over: the client is told, and the task ends as it was asked to.
            await answer_stop()(scope, receive, send)
        except Exception as exc:  # whatever it is, the client gets an answer
            failure = answer_failure(exc, request.request_id)
            if not request.status:
                await failure(scope, receive, send)
            request.status = 500  # of an answer that breaks off, too


def answer_failure(error: Exception, request_id: str) -> Response:
    """What is said of an error that nobody expects; the log has the rest."""
    logger.error("unexpected error", exc_info=error, extra={"request_id": request_id})
    return problem_response(500, "Internal server error.", {})


def answer_stop() -> Response:
    """What is said when the time to drain is over."""
    return problem_response(503, "The server is shutting down; retry the request.", {})
