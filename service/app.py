"""Puts the service together: lifespan, middleware, error handlers, routers.

Holds the only table from an exception's class to an HTTP status.
"""

import asyncio
import gc
import http
import logging
import math
import random
import re
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.registry import Collector
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import errors
from service.metrics import NO_MODEL, Metrics
from service.pipeline import Pipeline
from service.registry import Registry
from service.routes import KEY_SCHEMES, Services, operations, pages, tasks
from service.schemas import REQUESTS, Problem
from service.settings import Settings, SettingsError

if TYPE_CHECKING:
    from service.traces import Traces

logger = logging.getLogger(__name__)

STATUSES: dict[type[errors.ServingError], int] = {
    errors.InvalidInput: 422,
    errors.InputTooLong: 413,
    errors.NotAuthorized: 403,
    errors.ModelNotFound: 404,
    errors.ModelNotReady: 503,
    errors.Overloaded: 429,
    errors.DeadlineExceeded: 504,
    errors.InferenceFailed: 500,
    errors.ArtefactError: 500,
    errors.DeviceUnavailable: 500,
}

# Requests leave few cycles behind; at Python's own 700 the collector takes 2 % of a busy server.
GC_THRESHOLDS = (10_000, 10, 10)

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

# What a page of another origin may read besides the body.
EXPOSED_HEADERS = (
    *("X-Request-ID", "X-Model-Name", "X-Model-Version"),
    *("Server-Timing", "Retry-After"),
)

TASK_PATHS = frozenset({"/translate", "/classify"})
SEVERAL_MODELS = "several"
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

DETAILS = {
    404: "There is no such route; GET /docs lists all.",
    405: "The route does not take this method; the header Allow names those that it takes.",
}


class Service(FastAPI):
    """FastAPI behind our own way in, with the bodies that we parse ourselves in its OpenAPI.

    `RequestTrail` and `TaskLane` stand before FastAPI's own middleware, not behind it, so that a
    task passes through none of that.
    """

    def open_lane(self, services: Services) -> None:
        """To be called once all routes are there."""
        self.state.services = services
        self._entrance: ASGIApp = RequestTrail(TaskLane(super().__call__), services)
        origins = [origin.strip() for origin in services.settings.cors_origins.split(",")]
        if any(origins):
            self._entrance = CORSMiddleware(
                self._entrance,
                allow_origins=origins,
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
                expose_headers=EXPOSED_HEADERS,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        await self._entrance(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        if not self.openapi_schema:
            document = super().openapi()
            template = "#/components/schemas/{model}"
            _, bodies = models_json_schema(
                [(model, "validation") for model in REQUESTS], ref_template=template
            )
            document["components"]["schemas"].update(bodies["$defs"])
            document["components"]["securitySchemes"] = KEY_SCHEMES
        assert self.openapi_schema is not None
        return self.openapi_schema


def create_app(
    settings: Settings,
    *,
    registry: Registry | None = None,
    pipeline: Pipeline | None = None,
    collector_registry: CollectorRegistry | None = None,
    collector: Collector | None = None,
) -> FastAPI:
    """The application; its lifespan starts and stops the registry.

    Args:
        settings: see `Settings`.
        registry: the models; by default those of `settings.models_dir`.
        pipeline: by default one over the registry.
        collector_registry: where metrics live; by default a new one with the process's figures.
        collector: what `/metrics` shows; by default that registry.
    """
    metrics = Metrics(collector_registry or make_collectors())
    registry = registry or Registry(settings, metrics)
    pipeline = pipeline or Pipeline(registry, settings, metrics)
    app = Service(
        title="seqserve",
        version=read_version(),
        summary="Text classification and translation with recurrent models",
        lifespan=run_lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    services = Services(settings, metrics, registry, pipeline, collector or metrics.registry)
    services.traces = open_traces(settings)
    metrics.ready.set_function(lambda: 0.0 if services.faults() else 1.0)
    for router in (tasks, operations, pages):
        app.include_router(router, responses=document_errors())
    app.mount("/docs/assets", StaticFiles(packages=[("fastapi_swagger", "resources")]))
    app.add_exception_handler(errors.ServingError, answer_serving_error)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.open_lane(services)
    return app


@asynccontextmanager
async def run_lifespan(app: FastAPI) -> AsyncIterator[None]:
    services: Services = app.state.services
    await services.registry.start()
    gc.collect()
    gc.freeze()  # what was loaded stays: the collector need not walk through it again and again
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        services.is_draining = True
        await services.registry.stop()
        if services.traces is not None:
            services.traces.close()


def open_traces(settings: Settings) -> "Traces | None":
    """Where spans go, if they go anywhere.

    Raises:
        SettingsError: an endpoint is set, and what is needed for it is not installed.
    """
    if not settings.otlp_endpoint:
        return None
    try:
        # Here and not above: it takes a tenth of a second and some megabytes, and few need it.
        from service.traces import Traces
    except ModuleNotFoundError as exc:
        raise SettingsError(
            f"otlp_endpoint is {settings.otlp_endpoint}, and {exc.name} is not installed; install "
            "seqserve[otel], or unset SEQSERVE_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_ENDPOINT."
        ) from exc
    return Traces(settings.otlp_endpoint, read_version())


def make_collectors() -> CollectorRegistry:
    collectors = CollectorRegistry()
    ProcessCollector(registry=collectors)
    return collectors


def read_version() -> str:
    try:
        return metadata.version("seqserve")
    except metadata.PackageNotFoundError:  # a source tree that is not installed
        return "0.0.0"


def document_errors() -> dict[int | str, dict[str, Any]]:
    return {"default": {"model": Problem, "description": "What went wrong, as RFC 9457 says"}}


def status_of(error: errors.ServingError) -> int:
    """The status of the closest class in the table."""
    return next(STATUSES[parent] for parent in type(error).__mro__ if parent in STATUSES)


async def answer_serving_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.ServingError)
    status = status_of(error)
    if status == http.HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("%s: %s", type(error).__name__, error, exc_info=error)
    headers = {}
    if isinstance(error, errors.Overloaded):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    return problem_response(status, str(error), headers)


async def answer_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = DETAILS.get(error.status_code, error.detail)
    return problem_response(error.status_code, detail, dict(error.headers or {}))


def problem_response(status: int, detail: str, headers: dict[str, str]) -> Response:
    """RFC 9457; `error` repeats the sentence for clients of LibreTranslate and Hugging Face."""
    title = http.HTTPStatus(status).phrase
    problem = Problem(title=title, status=status, detail=detail, error=detail)
    return Response(
        problem.model_dump_json(), status, headers, media_type="application/problem+json"
    )


class TaskLane:
    """Brings what is posted to the task routes straight to their endpoints.

    FastAPI's own way there (matching, exit stacks, wrappers for exceptions) takes a fifth of the
    time that such a request spends on the event loop. The routes are declared with it all the same:
    for the documentation, and for whatever else comes to them.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.endpoints = {
            route.path: route.endpoint for route in tasks.routes if isinstance(route, APIRoute)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_post = scope["type"] == "http" and scope["method"] == "POST"
        endpoint = self.endpoints.get(scope["path"]) if is_post else None
        if endpoint is None:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response: Response = await endpoint(request)
        except errors.ServingError as exc:
            response = await answer_serving_error(request, exc)
        except HTTPException as exc:
            response = await answer_http_error(request, exc)
        await response(scope, receive, send)


class RequestTrail:
    """Gives every request its id, its log line, its place in the metrics, and an answer at all.

    The outermost middleware; plain ASGI, so that a hang-up reaches the routes.
    """

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self.app = app
        self.services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.monotonic()
        state = scope.setdefault("state", {})
        state["request_id"] = choose_id(scope["headers"])
        state["status"] = 0
        if self.services.traces is not None and is_task(scope):
            state["trace"] = self.services.traces.open(scope, started)
        tracked = partial(self.send_tracked, state, send)
        try:
            await self.app(scope, receive, tracked)
        except ClientDisconnect:
            state["status"] = CLIENT_CLOSED
        except asyncio.CancelledError:
            if not self.services.is_draining or state["status"]:
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
            if self.services.is_draining:
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
            self.services.metrics.count_request(label, outcome_of(status), seconds)
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


def outcome_of(status: int) -> str:
    """The closed set of outcomes that `requests_total` knows."""
    if status < http.HTTPStatus.BAD_REQUEST:
        return "ok"
    return OUTCOMES.get(
        status, "invalid" if status < http.HTTPStatus.INTERNAL_SERVER_ERROR else "error"
    )
