"""What the endpoints work with."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import Request
from prometheus_client.registry import Collector

from service.pipeline.classify import ClassifyPipeline
from service.pipeline.translate import TranslatePipeline
from service.repository.registry import Registry
from service.settings import Settings
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from service.telemetry.traces import Traces


@dataclass
class AppContext:
    """What the routes work with; the app has one.

    Attributes:
        collector: what `/metrics` shows.
        is_draining: set once the server has been told to stop; it still answers.
        traces: None where no endpoint is set.
    """

    settings: Settings
    metrics: Metrics
    registry: Registry
    classify: ClassifyPipeline
    translate: TranslatePipeline
    collector: Collector
    is_draining: bool = False
    traces: "Traces | None" = None

    def faults(self) -> list[str]:
        """Why the server should get no traffic."""
        return (["the server is stopping"] if self.is_draining else []) + self.registry.faults()


def get_context(request: Request) -> AppContext:
    context: AppContext = request.app.state.context
    return context
