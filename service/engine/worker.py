"""Takes batches, steps a runner, reports: on a thread of its own, or on the event loop."""

import asyncio
import threading
from collections.abc import Callable
from typing import Protocol

from service.engine.batch import Result, TokenSequence
from service.engine.runner import Runner
from service.engine.scheduling.step_time import StepTimeEstimator
from service.engine.waiting_queue import QueueClosed, WaitingQueue

Clock = Callable[[], float]


class EngineClient(Protocol):
    """Where the results of an engine go; called on the thread that ran the step."""

    def finish(self, finished: list[tuple[TokenSequence, Result]]) -> None: ...

    def time_step(self, arrivals: list[TokenSequence], seconds: float) -> None:
        """A step that these joined has ended, well or badly."""
        ...

    def fail(self, sequences: list[TokenSequence], error: Exception) -> None:
        """A step has failed and all that ran in it are lost."""
        ...

    def on_worker_death(self, error: BaseException) -> None:
        """The engine cannot go on because of an error that is not a step's."""
        ...


class EngineLoop:
    """Take, step, report: the only way in which a server uses a runner.

    Owned by one thread at a time, as the runner is.
    """

    def __init__(
        self, runner: Runner, queue: WaitingQueue, client: EngineClient, clock: Clock
    ) -> None:
        self.runner, self.queue, self._client, self.clock = runner, queue, client, clock
        self._running: set[TokenSequence] = set()
        self._step_started_at: float | None = None

    def busy_seconds(self) -> float:
        """How long the present step has taken so far; 0 between steps. For any thread."""
        started_at = self._step_started_at
        return 0.0 if started_at is None else self.clock() - started_at

    def run(self) -> None:
        """Steps as long as there is work, until the queue is closed."""
        try:
            while True:
                self.step(self.queue.wait_for_batch(self.runner, self.clock))
        except QueueClosed:
            return
        except BaseException as exc:  # whatever it is, the clients get an answer
            self._client.on_worker_death(exc)

    def run_once(self, arrivals: list[TokenSequence]) -> None:
        """One step; an error that is not the step's own is reported as it is from a thread."""
        try:
            self.step(arrivals)
        except Exception as exc:  # as in `run`
            self._client.on_worker_death(exc)

    def step(self, arrivals: list[TokenSequence]) -> None:
        """One step that the arrivals join, and the report of what came of it."""
        started_at = self._step_started_at = self.clock()
        self._running.update(arrivals)
        try:
            finished = self.runner.step(arrivals)
        except Exception as exc:  # whatever it raises fails those in the step alone
            self.runner.reset()
            failed, self._running = list(self._running), set()
            self._client.fail(failed, exc)
            return
        finally:
            self._step_started_at = None
            now = self.clock()
            self._client.time_step(arrivals, now - started_at)
        if arrivals and (seconds := self.runner.batch_seconds):
            longest = max(sequence.num_tokens for sequence in arrivals)
            self.queue.learn_cost(len(arrivals), longest, seconds)
        self._report(finished, now)

    def _report(self, finished: list[tuple[TokenSequence, Result]], now: float) -> None:
        for sequence, _ in finished:
            sequence.finished_at = now
            self._running.discard(sequence)
        if len(self._running) > self.runner.num_running:
            self._running = {sequence for sequence in self._running if not sequence.is_abandoned}
        if finished:
            self._client.finish(finished)


class Worker:
    """A thread that runs an engine loop."""

    def __init__(self, name: str, engine: EngineLoop) -> None:
        self.engine = engine
        # a daemon: a hung engine must not keep the process from ending
        self._thread = threading.Thread(target=engine.run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()


# A request takes a turn of the event loop from its bytes to the queue. With 32 connections, waiting
# for two made batches of 6.2 rows instead of 4.1 and took 16 % less processor time per request in
# float32, in int8 4.6 instead of 3.6 and 5 %. Since short texts come straight from the parser a
# third is worth 4 to 10 % more (32 and 128 connections, both precisions), a fourth or sixth
# nothing; without other requests a turn takes some ten microseconds.
GATHER_TURNS = 3


class InlineWorker:
    """Runs the short steps of an engine loop on the event loop itself.

    If no processor is left for a thread, handing a step over to one and back takes longer than it
    gains. Steps run once everything that arrived within `GATHER_TURNS` turns of the event loop is
    queued; longer steps are left to a thread.
    """

    def __init__(self, engine: EngineLoop) -> None:
        self._engine = engine
        self._step_time = StepTimeEstimator()
        self._is_due = False

    def schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        """Has a step run after some turns of the event loop."""
        if not self._is_due:
            self._is_due = True
            self._wait(loop, GATHER_TURNS)

    def observe(self, arrivals: list[TokenSequence], seconds: float, *, on_loop: bool) -> None:
        """Notes how long a step took, on the event loop or on a thread."""
        if arrivals:
            self._step_time.observe(arrivals, seconds, on_loop=on_loop)

    def _wait(self, loop: asyncio.AbstractEventLoop, num_turns: int) -> None:
        if num_turns:
            loop.call_soon(self._wait, loop, num_turns - 1)
        else:
            loop.call_soon(self._run, loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_due = False
        engine = self._engine
        arrivals = engine.queue.take_if(
            self._step_time.is_short, engine.runner.free_rows, engine.clock()
        )
        if not arrivals:
            return
        if engine.queue.num_waiting:
            self.schedule(loop)
        engine.run_once(arrivals)
