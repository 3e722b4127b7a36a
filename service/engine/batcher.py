"""The asyncio side of one model: admission, futures, and the workers that empty its queue."""

import asyncio
import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence

from service.engine.batch import Result, TokenSequence
from service.engine.runner import Runner
from service.engine.scheduling.admission import QueueLimits, QueueState
from service.engine.scheduling.forecast import Forecast
from service.engine.scheduling.scheduler import Scheduler
from service.engine.waiting_queue import WaitingQueue
from service.engine.worker import Clock, EngineLoop, InlineWorker, Worker
from service.errors import DeadlineExceeded, InferenceFailed, ModelNotReady, ServingError
from service.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)


class Batcher:
    """Lets sequences into the queue of a model and resolves their futures.

    A worker waits for nothing while it is idle, and what arrives during its step forms the next
    batch.

    Args:
        model_name: for messages and metrics.
        runners: one worker each.
        scheduler: the queue's policy.
        limits: of admission.
        metrics: where batches are counted.
        clock: monotonic seconds.
        inline_runner: for short steps on the event loop itself, see `InlineWorker`; one that
            answers in a single step.
    """

    def __init__(
        self,
        model_name: str,
        runners: Sequence[Runner],
        scheduler: Scheduler,
        limits: QueueLimits,
        metrics: Metrics,
        clock: Clock = time.monotonic,
        inline_runner: Runner | None = None,
    ) -> None:
        self._name, self._clock = model_name, clock
        self._metrics = metrics.of_model(model_name)
        self._queue = WaitingQueue(
            model_name,
            scheduler,
            limits,
            self._metrics,
            functools.partial(self._call, self._expire),
            wakes_workers=inline_runner is None,
        )
        self._workers = [
            Worker(f"engine-{model_name}-{index}", self._make_engine(runner))
            for index, runner in enumerate(runners)
        ]
        self._inline = InlineWorker(self._make_engine(inline_runner)) if inline_runner else None
        self._futures: dict[TokenSequence, asyncio.Future[Result]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._metrics.running_sequences.set_function(
            lambda: sum(worker.engine.runner.num_running for worker in self._workers)
        )
        self._drained = asyncio.Event()
        self._is_stopping = False  # refuses new sequences
        self._is_dead = False

    def start(self) -> None:
        self._loop, self._loop_thread = asyncio.get_running_loop(), threading.get_ident()
        for worker in self._workers:
            worker.start()

    async def stop(self, drain_seconds: float) -> None:
        """Refuses new sequences, lets admitted ones finish for `drain_seconds`, fails the rest."""
        self._is_stopping = True
        if self._futures and not self._is_dead:
            try:
                await asyncio.wait_for(self._drained.wait(), drain_seconds)
            except TimeoutError:
                logger.warning("%d sequences outlasted the drain", len(self._futures))
        message = f"model {self._name} was stopped; retry elsewhere"
        self._end(list(self._futures), ModelNotReady, message)
        self._queue.close()

    def submit(self, sequences: list[TokenSequence]) -> list[asyncio.Future[Result]]:
        """Admits all sequences or none, at once.

        Cancelling a future takes its sequence out of the queue, or out of the engine before the
        next step.

        Raises:
            InputTooLong: together they are above the queue's limit, so that waiting does not help.
            Overloaded: the queue is full, or too slow for them.
            ModelNotReady: the batcher is stopping, or a worker has died.
        """
        loop = self._loop
        if self._is_stopping or self._is_dead or loop is None:
            raise ModelNotReady(f"model {self._name} is not accepting requests; retry elsewhere")
        futures = [loop.create_future() for _ in sequences]
        # before they are queued: a worker may finish one at once
        self._futures.update(zip(sequences, futures, strict=True))
        try:
            self._queue.add(sequences, self._clock())
        except ServingError:
            for sequence in sequences:
                del self._futures[sequence]
            raise
        for sequence, future in zip(sequences, futures, strict=True):
            future.add_done_callback(functools.partial(self._release, sequence))
        if self._inline is not None:
            self._inline.schedule(loop)
        return futures

    def forecast(self) -> Forecast:
        """The wait of what is about to be submitted."""
        return Forecast(self._queue, self._clock())

    def queue_state(self, now: float) -> QueueState:
        """How much is queued, and the wait predicted from it."""
        return self._queue.state(now)

    async def settle(self) -> None:
        """Returns at once: `submit` has admitted or refused. An engine from afar has not."""

    @property
    def num_pending(self) -> int:
        """Admitted sequences whose client still waits."""
        return len(self._futures)

    def fault(self, stall_seconds: float) -> str | None:
        """Why this model cannot answer: a worker died, or a step has run for `stall_seconds`."""
        is_running = all(worker.is_alive for worker in self._workers)
        if self._loop is None or self._is_dead or not is_running:
            return f"the batcher of model {self._name} is not running"
        busy_seconds = max(worker.engine.busy_seconds() for worker in self._workers)
        if busy_seconds > stall_seconds:
            return f"the engine of model {self._name} has not answered for {busy_seconds:.0f} s"
        return None

    # --- for the engines, on whatever thread ran the step: see `worker.EngineClient` ---

    def finish(self, finished: list[tuple[TokenSequence, Result]]) -> None:
        self._call(self._resolve, finished)

    def time_step(self, arrivals: list[TokenSequence], seconds: float) -> None:
        if self._inline is not None:
            on_loop = threading.get_ident() == self._loop_thread
            self._inline.observe(arrivals, seconds, on_loop=on_loop)
        self._metrics.step_duration_seconds.observe(seconds)

    def fail(self, sequences: list[TokenSequence], error: Exception) -> None:
        logger.error("a step of model %s failed", self._name, exc_info=error)
        # the runtime's own message can hold shapes, paths and addresses: for the log alone
        message = "the engine failed on a batch; the server's log says why"
        self._call(self._end, sequences, InferenceFailed, message)

    def on_worker_death(self, error: BaseException) -> None:
        logger.error("a worker of model %s died", self._name, exc_info=error)
        self._call(self._end_all)

    # --- on the event loop ---

    def _make_engine(self, runner: Runner) -> EngineLoop:
        return EngineLoop(runner, self._queue, self, self._clock)

    def _release(self, sequence: TokenSequence, future: asyncio.Future[Result]) -> None:
        """Takes an abandoned sequence out of the queue, or out of the engine at its next step."""
        self._futures.pop(sequence, None)
        if future.cancelled() or future.exception() is not None:
            sequence.is_abandoned = True
            self._queue.remove(sequence, self._clock())
        if self._is_stopping and not self._futures:
            self._drained.set()

    def _resolve(self, finished: list[tuple[TokenSequence, Result]]) -> None:
        for sequence, result in finished:
            future = self._futures.get(sequence)
            if future is not None and not future.done():
                future.set_result(result)

    def _end(
        self, sequences: Sequence[TokenSequence], error: type[ServingError], message: str
    ) -> None:
        for sequence in sequences:
            future = self._futures.get(sequence)
            if future is not None and not future.done():
                future.set_exception(error(message))

    def _expire(self, sequences: Sequence[TokenSequence], now: float) -> None:
        for sequence in sequences:
            message = (
                f"the deadline passed after {now - sequence.arrived_at:.3f} s in the queue; "
                "allow more time"
            )
            self._end([sequence], DeadlineExceeded, message)

    def _end_all(self) -> None:
        self._is_dead = True
        message = f"the batcher of model {self._name} died; retry elsewhere"
        self._end(list(self._futures), ModelNotReady, message)

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        """Runs a function on the event loop, soon; at once if this is its thread."""
        assert self._loop is not None
        if threading.get_ident() == self._loop_thread:
            function(*arguments)
            return
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop is closed, and with it every client's connection
            logger.debug("an answer of model %s came after the end", self._name)
