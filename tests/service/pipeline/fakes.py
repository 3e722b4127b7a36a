"""Registries without models, for tests of what pipelines do before a model is asked."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.engine.scheduling.forecast import Forecast
from tests.fakes import make_backlog


@dataclass
class FakeBatcher:
    """Has a queue in which the next request would wait."""

    wait_seconds: float

    def forecast(self) -> Forecast:
        return Forecast(make_backlog(self.wait_seconds), 0.0)


@dataclass
class FakeServed:
    batcher: FakeBatcher


@dataclass
class FakeRegistry:
    """Has a queue for each wait, of models of the given tasks."""

    waits: Sequence[float]
    tasks: tuple[str, ...]

    def models_of(self, *tasks: str) -> list[FakeServed]:
        assert tasks == self.tasks
        return [FakeServed(FakeBatcher(seconds)) for seconds in self.waits]
