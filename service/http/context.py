"""What the endpoints work with: one object per app, and one per request."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import Request
from starlette.types import ASGIApp, Scope

from service.answers import Timings
from service.errors import ServingError
from service.pipeline.classify import ClassifyPipeline
from service.pipeline.generation.generate import GeneratePipeline
from service.pipeline.tagging.tag import TagPipeline
from service.pipeline.translation.translate import TranslatePipeline
from service.repository.registry import Registry
from service.settings import Settings
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from service.telemetry.traces import Trace, Traces

SCOPE_KEY = "seqserve.request"
# Seconds that a request had waited to be read; the server knows, and only under load.
AGE_KEY = "seqserve.age"


@dataclass
class AppContext:
    """What the routes work with; the app has one.

    Attributes:
        metrics_app: answers `/metrics`.
        num_tag_streams: texts that are being labelled as they come in.
        is_draining: set once the server has been told to stop; it still answers.
        traces: None if no endpoint is set.
    """

    settings: Settings
    metrics: Metrics
    registry: Registry
    classify: ClassifyPipeline
    translate: TranslatePipeline
    generate: GeneratePipeline
    tag: TagPipeline
    metrics_app: ASGIApp
    num_tag_streams: int = 0
    is_draining: bool = False
    traces: "Traces | None" = None

    @property
    def origins(self) -> list[str]:
        """Whose pages may ask from a browser; answers have headers of CORS if there are any."""
        origins = [origin.strip() for origin in self.settings.cors_origins.split(",")]
        return origins if any(origins) else []

    def faults(self) -> list[str]:
        """Why the server should get no traffic."""
        return (["the server is stopping"] if self.is_draining else []) + self.registry.faults()


@dataclass(slots=True)
class RequestContext:
    """What becomes known of one request, for its log line, its metrics and its trace.

    Attributes:
        app: of the app that answers.
        started_at: monotonic seconds; when its bytes arrived, if that is known.
        age_seconds: that it had waited to be read.
        status: of the answer; 0 until it begins.
        model_names: comma-separated, once it is known which models are asked.
        timings: of a task that was answered.
        error: of a stream, whose status was out before it failed.
        trace: None if the request is not traced.
    """

    app: AppContext
    request_id: str
    started_at: float
    age_seconds: float = 0.0
    status: int = 0
    model_names: str = ""
    timings: Timings | None = None
    error: ServingError | None = None
    trace: "Trace | None" = None


def find_request_context(scope: Scope) -> RequestContext:
    """The context of the request, which `RequestContextMiddleware` put into its scope."""
    context: RequestContext = scope[SCOPE_KEY]
    return context


def get_context(request: Request) -> AppContext:
    return find_request_context(request.scope).app
