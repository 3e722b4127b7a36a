"""Puts the service together: lifespan, middleware, error handlers, routers."""

import gc
import http
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.registry import Collector
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from service import errors
from service.http.context import AppContext
from service.http.metrics import make_metrics_app
from service.http.middleware.failures import FailureMiddleware
from service.http.middleware.fast_path import FastPath
from service.http.middleware.prefix import PrefixMiddleware
from service.http.middleware.request_context import RequestContextMiddleware
from service.http.openapi import complete_document, document_errors, name_operation
from service.http.requests.codings import CompressionMiddleware
from service.http.responses.problems import answer_http_error, answer_serving_error
from service.http.routes.completions import completions
from service.http.routes.default import default
from service.http.routes.generation import generation
from service.http.routes.operations import discovery, operations
from service.http.routes.pages import pages
from service.http.routes.streams import streams
from service.http.routes.tasks import tasks
from service.http.schemas import Problem
from service.http.wires.openai import CompletionProblem
from service.pipeline.classify import ClassifyPipeline
from service.pipeline.generation.generate import GeneratePipeline
from service.pipeline.tagging.tag import TagPipeline
from service.pipeline.translation.translate import TranslatePipeline
from service.repository.registry import Registry
from service.settings import Settings, SettingsError
from service.telemetry.metrics import Metrics
from service.transport.remote_engine import RemoteEngine

if TYPE_CHECKING:
    from service.telemetry.traces import Traces

logger = logging.getLogger(__name__)


# Requests leave few cycles behind; at Python's own 700 the collector takes 2 % of a busy server.
GC_THRESHOLDS = (10_000, 10, 10)


# What a page of another origin may read besides the body.
EXPOSED_HEADERS = (
    *("X-Request-ID", "X-Model-Name", "X-Model-Version"),
    *("Server-Timing", "Retry-After", "X-Truncated"),
)


class SeqserveApp(FastAPI):
    """FastAPI behind our own entrance.

    Our middleware and `FastPath` stand before FastAPI's own middleware, so that a task request
    passes through none of it.

    Args:
        context: what the routes work with.
    """

    def __init__(self, context: AppContext) -> None:
        super().__init__(
            title="seqserve",
            version=read_version(),
            summary="Text classification, translation, tagging and generation",
            # Relative to the document, so that it is right below any prefix of a proxy.
            servers=[{"url": "."}],
            lifespan=lambda _: run_lifespan(context),
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            generate_unique_id_function=name_operation,
        )
        self.context = context
        for router in (tasks, generation, default, discovery, operations, pages):
            self.include_router(router, responses=document_errors(Problem))
        self.include_router(completions, responses=document_errors(CompletionProblem))
        self.include_router(streams)
        self.mount("/docs/assets", StaticFiles(packages=[("fastapi_swagger", "resources")]))
        self.add_exception_handler(errors.ServingError, answer_serving_error)
        self.add_exception_handler(HTTPException, answer_http_error)
        self._entrance = build_entrance(super().__call__, context)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        await self._entrance(scope, receive, send)

    def openapi(self) -> dict[str, Any]:
        if not self.openapi_schema:
            self.openapi_schema = complete_document(super().openapi(), self.context.settings)
        return self.openapi_schema


def build_entrance(app: ASGIApp, context: AppContext) -> ASGIApp:
    """What stands before FastAPI; the first has the last word on each answer."""
    entrance: ASGIApp = CompressionMiddleware(FailureMiddleware(FastPath(app)))
    origins = context.origins
    if origins:
        entrance = CORSMiddleware(
            entrance,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=EXPOSED_HEADERS,
        )
    entrance = RequestContextMiddleware(entrance, context)
    prefix = context.settings.root_path
    if not prefix:
        return entrance
    folder = RedirectResponse(prefix.rpartition("/")[2] + "/", http.HTTPStatus.PERMANENT_REDIRECT)
    return PrefixMiddleware(entrance, prefix, RequestContextMiddleware(folder, context))


def create_app(
    settings: Settings,
    *,
    registry: Registry | None = None,
    engine: RemoteEngine | None = None,
    classify: ClassifyPipeline | None = None,
    translate: TranslatePipeline | None = None,
    collector_registry: CollectorRegistry | None = None,
    collector: Collector | None = None,
) -> SeqserveApp:
    """The application; its lifespan starts and stops the registry.

    Args:
        settings: see `Settings`.
        registry: the models; by default those of `settings.models_dir`.
        engine: the process that has them; by default this one loads them.
        classify: the pipeline for `/classify`; by default one over the registry.
        translate: the same for `/translate`.
        collector_registry: where metrics live; by default a new one with the process's figures.
        collector: what `/metrics` shows; by default that registry.
    """
    metrics = Metrics(collector_registry or make_collectors())
    registry = registry or Registry(settings, metrics, engine)
    context = AppContext(
        settings,
        metrics,
        registry,
        classify or ClassifyPipeline(registry, settings, metrics),
        translate or TranslatePipeline(registry, settings, metrics),
        GeneratePipeline(registry, settings, metrics),
        TagPipeline(registry, settings, metrics),
        make_metrics_app(collector or metrics.registry),
    )
    context.traces = open_traces(settings)
    metrics.tag_streams.set_function(lambda: float(context.num_tag_streams))
    metrics.ready.set_function(lambda: 0.0 if context.faults() else 1.0)
    return SeqserveApp(context)


@asynccontextmanager
async def run_lifespan(context: AppContext) -> AsyncIterator[None]:
    await context.registry.start()
    gc.collect()
    gc.freeze()  # what was loaded stays: the collector need not walk through it again and again
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        context.is_draining = True
        await context.registry.stop()
        if context.traces is not None:
            context.traces.close()


def open_traces(settings: Settings) -> "Traces | None":
    """Where spans go, if they go anywhere.

    Raises:
        SettingsError: an endpoint is set, and what is needed for it is not installed.
    """
    if not settings.otlp_endpoint:
        return None
    try:
        # Here and not above: it takes a tenth of a second and some megabytes, and few need it.
        from service.telemetry.traces import Traces
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
