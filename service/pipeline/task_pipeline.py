"""What the pipelines of all tasks have in common."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol

from service.answers import Timings
from service.engine.batch import Result, TokenSequence
from service.engine.scheduling.forecast import Forecast
from service.pipeline.intake import forecast_wait, observe_stages, observe_tokens
from service.pipeline.states import StatesReader
from service.pipeline.submission import ModelBatch
from service.repository.registry import Registry
from service.settings import Settings
from service.telemetry.metrics import Metrics


class Job(Protocol):
    """Texts on their way through models; times in monotonic seconds."""

    @property
    def work(self) -> Sequence[ModelBatch]: ...

    @property
    def arrived_at(self) -> float: ...

    @property
    def encoded_at(self) -> float: ...


class TaskPipeline:
    """Answers requests of one task with the models of a registry.

    Attributes:
        tasks: of the models, see `service.repository.manifest.Task`.
    """

    tasks: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry, self._settings = registry, settings
        self._metrics, self._clock = metrics, clock
        self._states = StatesReader(settings.max_state_values, clock)

    def forecast_wait(self) -> Forecast | None:
        """The wait of the next requests, before it is known which of the models they are for."""
        return forecast_wait(self._registry, self.tasks)

    def check_wait(self) -> None:
        """Refuses at once, before a body is read, when no model would take a request.

        Raises:
            Overloaded: the queues of all models of the tasks are too slow.
        """
        if forecast := self.forecast_wait():
            forecast.admit()

    def _observe_stages(self, job: Job, results: Mapping[TokenSequence, Result]) -> Timings:
        """Records the stages of a job that is done, once."""
        return observe_stages(
            job.work, results, job.arrived_at, job.encoded_at, self._metrics, self._clock()
        )

    def _observe(self, job: Job, results: Mapping[TokenSequence, Result]) -> Timings:
        """Records the stages and the tokens of a job whose work was all known beforehand."""
        observe_tokens(job.work, results, self._metrics)
        return self._observe_stages(job, results)
