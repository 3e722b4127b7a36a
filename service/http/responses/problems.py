"""The one table from an error to its HTTP status, and how errors look on the wire."""

import http
import logging
import math

from fastapi import Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from service import errors
from service.http.requests.codings import READ_CODINGS
from service.http.schemas import Problem
from service.http.wires.openai import CompletionProblem, describe_error

logger = logging.getLogger(__name__)

STATUSES: dict[type[errors.ServingError], int] = {
    errors.InvalidInput: 422,
    errors.InputTooLong: 413,
    errors.UnsupportedCoding: 415,
    errors.NotAuthorized: 403,
    errors.KeyMissing: 401,
    errors.BodyTimeout: 408,
    errors.TaskNotChosen: 404,
    errors.ModelNotFound: 404,
    errors.GlossaryNotFound: 404,
    errors.ModelNotReady: 503,
    errors.Overloaded: 429,
    errors.DeadlineExceeded: 504,
    errors.InferenceFailed: 500,
    errors.ArtefactError: 500,
    errors.DeviceUnavailable: 500,
}

# What nginx calls a client that hung up; it is logged and counted, never sent.
CLIENT_CLOSED = 499

OUTCOMES = {
    401: "unauthorized",
    403: "unauthorized",
    404: "not_found",
    429: "overloaded",
    CLIENT_CLOSED: "cancelled",
    503: "not_ready",
    504: "deadline",
}

DETAILS = {
    404: "There is no such route; GET /docs lists all.",
    405: "The route does not take this method; the header Allow names those that it takes.",
}


def status_of(error: errors.ServingError) -> int:
    """The status of the closest class in the table."""
    return next(STATUSES[parent] for parent in type(error).__mro__ if parent in STATUSES)


async def answer_serving_error(request: HTTPConnection, error: Exception) -> Response:
    assert isinstance(error, errors.ServingError)
    return answer_error(request.scope["path"], error)


def answer_error(path: str, error: errors.ServingError) -> Response:
    """A problem for an error; one of ours is logged."""
    status = status_of(error)
    if status == http.HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%s: %s", type(error).__name__, error, exc_info=error)
    return answer_problem(path, status, str(error), headers_of(error))


def headers_of(error: errors.ServingError) -> dict[str, str]:
    """What HTTP has headers for."""
    if isinstance(error, errors.Overloaded | errors.ModelNotReady):
        seconds = error.retry_after_seconds
        return {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}
    if isinstance(error, errors.UnsupportedCoding):
        return {"Accept-Encoding": READ_CODINGS}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, errors.KeyMissing) else {}


async def answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = DETAILS.get(error.status_code, error.detail)
    headers = dict(error.headers or {})
    return answer_problem(request.scope["path"], error.status_code, detail, headers)


def answer_problem(path: str, status: int, detail: str, headers: dict[str, str]) -> Response:
    """A problem in the words of the wire that was spoken."""
    if not path.startswith("/v1/"):
        return problem_response(status, detail, headers)
    problem = CompletionProblem(
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        error=describe_error(status, detail),
    )
    return Response(
        problem.model_dump_json(), status, headers, media_type="application/problem+json"
    )


def problem_response(status: int, detail: str, headers: dict[str, str]) -> Response:
    """RFC 9457; `error` repeats the sentence for clients of LibreTranslate and Hugging Face."""
    title = http.HTTPStatus(status).phrase
    problem = Problem(title=title, status=status, detail=detail, error=detail)
    return Response(
        problem.model_dump_json(), status, headers, media_type="application/problem+json"
    )


def outcome_of(status: int) -> str:
    """The closed set of outcomes that `requests_total` knows."""
    if status < http.HTTPStatus.BAD_REQUEST:
        return "ok"
    return OUTCOMES.get(
        status, "invalid" if status < http.HTTPStatus.INTERNAL_SERVER_ERROR else "error"
    )
