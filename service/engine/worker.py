"""A thread that owns one runner: takes batches, steps, reports. Knows no queue and no asyncio."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from service.engine.batch import Result, TokenSequence
from service.engine.runner import Runner

logger = logging.getLogger(__name__)

Clock = Callable[[], float]


class EngineClient(Protocol):
    """Where a worker gets its batches and brings its results; called on the worker's thread."""

    def take(self, runner: Runner) -> list[TokenSequence] | None:
        """The next arrivals, none while others run on; waits while there is nothing to do.

        None means that the worker shall end.
        """
        ...

    def finish(self, finished: list[tuple[TokenSequence, Result]]) -> None: ...

    def time_step(self, arrivals: list[TokenSequence], seconds: float) -> None:
        """A step that these joined has ended, well or badly."""
        ...

    def fail(self, sequences: list[TokenSequence], error: Exception) -> None:
        """A step has failed and all that ran in it are lost."""
        ...

    def on_worker_death(self, error: BaseException) -> None:
        """The thread is ending because of an error that is not a step's."""
        ...


class Worker:
    """The only thread that calls its runner; steps as long as there is work."""

    def __init__(self, name: str, runner: Runner, desk: EngineClient, clock: Clock) -> None:
        self._runner, self._desk, self._clock = runner, desk, clock
        self._running: set[TokenSequence] = set()
        self._step_started_at: float | None = None
        # a daemon: a hung engine must not keep the process from ending
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def num_running(self) -> int:
        return self._runner.num_running

    @property
    def free_rows(self) -> int:
        return self._runner.free_rows

    def busy_seconds(self) -> float:
        """How long the present step has taken so far; 0 between steps."""
        started_at = self._step_started_at
        return 0.0 if started_at is None else self._clock() - started_at

    def _run(self) -> None:
        try:
            while (arrivals := self._desk.take(self._runner)) is not None:
                self.step(arrivals)
        except BaseException as exc:  # whatever it is, those who wait are told
            self._desk.on_worker_death(exc)

    def step(self, arrivals: list[TokenSequence]) -> None:
        """One step with these, and what came of it; for the thread, or whoever does without one."""
        started_at = self._step_started_at = self._clock()
        self._running.update(arrivals)
        try:
            finished = self._runner.step(arrivals)
        except Exception as exc:  # whatever it raises fails those in the step alone
            self._runner.reset()
            failed, self._running = list(self._running), set()
            self._desk.fail(failed, exc)
            return
        finally:
            self._step_started_at = None
            now = self._clock()
            self._desk.time_step(arrivals, now - started_at)
        for sequence, _ in finished:
            sequence.finished_at = now
            self._running.discard(sequence)
        if len(self._running) > self._runner.num_running:
            self._running = {sequence for sequence in self._running if not sequence.is_abandoned}
        if finished:
            self._desk.finish(finished)
