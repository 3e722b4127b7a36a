"""The asyncio shell around one model: admission, futures, and the workers that empty its queue."""

import asyncio
import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence

from service.engine.admission import (
    QueueLimits,
    QueueState,
    ServiceRate,
    check_admission,
    check_wait,
)
from service.engine.batch import Result, TokenSequence, padding_ratio
from service.engine.runner import Runner
from service.engine.scheduler import Dispatch, Scheduler
from service.engine.step_time import StepTimeEstimator
from service.engine.worker import Clock, Worker
from service.errors import (
    DeadlineExceeded,
    InferenceFailed,
    ModelNotReady,
    Overloaded,
    ServingError,
)
from service.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)


class Batcher:
    """One queue and the workers that take from it, each with a runner of its own.

    A worker waits for nothing while it is idle, and what arrives during its step forms the next
    batch. The queue has one lock; the event loop holds it for microseconds, never during a step.

    If no processor is left for a thread, the event loop runs short steps itself (`inline_runner`),
    once everything that arrived in one of its turns is queued: handing over to a thread and back
    takes longer than it gains. Longer steps are left to the workers.

    Args:
        model_name: for messages and metrics.
        runners: one worker each.
        inline_runner: a runner for the event loop's own steps, one that answers in a single step.
        scheduler: the queue and its policy.
        limits: of admission.
        metrics: where batches are counted.
        clock: monotonic seconds.
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
        self._name, self._scheduler = model_name, scheduler
        self._limits, self._metrics, self._clock = limits, metrics.of_model(model_name), clock
        self._rate = ServiceRate()
        self._condition = threading.Condition()
        self._workers = [
            Worker(f"engine-{model_name}-{index}", runner, self, clock)
            for index, runner in enumerate(runners)
        ]
        self._inline_worker = (
            Worker(model_name, inline_runner, self, clock) if inline_runner else None
        )
        self._inline_step_time = StepTimeEstimator()
        self._is_inline_due = False
        self._futures: dict[TokenSequence, asyncio.Future[Result]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._metrics.queue_requests.set_function(lambda: scheduler.num_waiting)
        self._metrics.queue_tokens.set_function(lambda: scheduler.waiting_tokens)
        self._metrics.running_sequences.set_function(
            lambda: sum(worker.num_running for worker in self._workers)
        )
        self._drained = asyncio.Event()
        self._is_stopping = False  # refuses new requests
        self._is_closed = False  # ends the workers
        self._is_dead = False

    # --- on the event loop ---

    def start(self) -> None:
        self._loop, self._loop_thread = asyncio.get_running_loop(), threading.get_ident()
        for worker in self._workers:
            worker.start()

    async def stop(self, drain_seconds: float) -> None:
        """Refuses new requests, lets admitted ones finish for `drain_seconds`, fails the rest."""
        self._is_stopping = True
        if self._futures and not self._is_dead:
            try:
                await asyncio.wait_for(self._drained.wait(), drain_seconds)
            except TimeoutError:
                logger.warning("%d requests outlasted the drain", len(self._futures))
        self._end(
            list(self._futures), ModelNotReady, f"model {self._name} was stopped; retry elsewhere"
        )
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()

    def submit(self, sequences: list[TokenSequence]) -> list[asyncio.Future[Result]]:
        """Admits all requests or none, at once.

        Cancelling a future takes its request out of the queue, or out of the engine before the next
        step.

        Raises:
            InputTooLong: together they are above the queue's limit, so waiting is no help.
            Overloaded: the queue is full, or too slow for them.
            ModelNotReady: the batcher is stopping, or a worker has died.
        """
        if self._is_stopping or self._is_dead or self._loop is None:
            raise ModelNotReady(f"model {self._name} is not accepting requests; retry elsewhere")
        loop = self._loop
        futures = []
        with self._condition:
            self._admit(sequences)
            for sequence in sequences:
                future: asyncio.Future[Result] = loop.create_future()
                future.add_done_callback(functools.partial(self._release, sequence))
                self._futures[sequence] = future
                futures.append(future)
            self._scheduler.add(sequences)
            if self._inline_worker is None:
                self._condition.notify(len(sequences))
        self._schedule_inline()
        return futures

    def check_wait(self) -> None:
        """Refuses when the queue is so slow that no request would be let in.

        Raises:
            Overloaded: see `submit`.
        """
        state = self._state()
        try:
            check_wait(self._name, state, self._limits)
        except Overloaded as refusal:
            self._metrics.shed_total[refusal.reason].inc()
            raise

    @property
    def is_too_slow(self) -> bool:
        """Whether `check_wait` would refuse."""
        return self._predict_wait() > self._limits.max_wait_seconds

    @property
    def num_pending(self) -> int:
        """Admitted requests that somebody still waits for."""
        return len(self._futures)

    def fault(self, stall_seconds: float) -> str | None:
        """Why this model cannot answer: a worker died, or a step has run for `stall_seconds`."""
        is_running = all(worker.is_alive for worker in self._workers)
        if self._loop is None or self._is_dead or not is_running:
            return f"the batcher of model {self._name} is not running"
        busy_seconds = max(worker.busy_seconds() for worker in self._workers)
        if busy_seconds > stall_seconds:
            return f"the engine of model {self._name} has not answered for {busy_seconds:.0f} s"
        return None

    def _schedule_inline(self) -> None:
        if self._inline_worker is not None and not self._is_inline_due and self._loop is not None:
            self._is_inline_due = True
            self._loop.call_soon(self._run_inline)

    def _run_inline(self) -> None:
        """A step on the event loop; what is not short enough for that is left to a worker."""
        self._is_inline_due = False
        assert self._inline_worker is not None
        with self._condition:
            now = self._clock()
            dispatch = self._choose_batch(self._inline_worker.free_rows, now)
            if not dispatch.sequences:
                return
            if not self._inline_step_time.is_short(dispatch.sequences):
                self._scheduler.add(dispatch.sequences)
                self._condition.notify()
                return
            self._note(dispatch, now)
            if self._scheduler.num_waiting:
                self._schedule_inline()
        self._step_inline(dispatch.sequences)

    def _step_inline(self, sequences: list[TokenSequence]) -> None:
        assert self._inline_worker is not None
        try:
            self._inline_worker.step(sequences)
        except Exception as exc:  # as in a worker's thread
            self.on_worker_death(exc)

    def _state(self) -> QueueState:
        scheduler = self._scheduler
        return QueueState(scheduler.num_waiting, scheduler.waiting_tokens, self._predict_wait())

    def _predict_wait(self) -> float:
        return self._rate.predict_seconds(self._scheduler.waiting_tokens, self._clock())

    def _admit(self, sequences: list[TokenSequence]) -> None:
        """With the lock held: refuses what cannot be let in; nobody for the sake of the expired."""
        now = self._clock()
        try:
            try:
                check_admission(self._name, sequences, self._state(), self._limits, now)
            except Overloaded:
                if not (expired := self._drop_expired(now)):
                    raise
                self._expire(expired, now)
                check_admission(self._name, sequences, self._state(), self._limits, now)
        except Overloaded as refusal:
            self._metrics.shed_total[refusal.reason].inc()
            raise

    def _release(self, sequence: TokenSequence, future: asyncio.Future[Result]) -> None:
        """What nobody waits for any more leaves the queue at once, the engine at the next step."""
        self._futures.pop(sequence, None)
        if future.cancelled() or future.exception() is not None:
            sequence.is_abandoned = True
            with self._condition:
                self._scheduler.remove(sequence)
                self._note_shrunk(self._clock())
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

    # --- on the workers' threads ---

    def take(self, runner: Runner) -> list[TokenSequence] | None:
        """See `worker.EngineClient`."""
        with self._condition:
            while not self._is_closed:
                arrivals = self._next_batch(runner)
                if arrivals or runner.num_running:
                    return arrivals
                self._condition.wait()
        return None

    def finish(self, finished: list[tuple[TokenSequence, Result]]) -> None:
        """See `worker.EngineClient`."""
        self._call(self._resolve, finished)

    def time_step(self, arrivals: list[TokenSequence], seconds: float) -> None:
        """See `worker.EngineClient`."""
        if self._inline_worker is not None:  # a step is its arrivals, wherever it was run
            on_loop = threading.get_ident() == self._loop_thread
            self._inline_step_time.observe(arrivals, seconds, on_loop=on_loop)
        self._metrics.step_duration_seconds.observe(seconds)

    def fail(self, sequences: list[TokenSequence], error: Exception) -> None:
        """See `worker.EngineClient`."""
        logger.error("a step of model %s failed", self._name, exc_info=error)
        # what the runtime says of it can hold shapes, paths and addresses: for the log alone
        message = "the engine failed on a batch; the server's log says why"
        self._call(self._end, sequences, InferenceFailed, message)

    def on_worker_death(self, error: BaseException) -> None:
        """See `worker.EngineClient`."""
        logger.error("a worker of model %s died", self._name, exc_info=error)
        self._call(self._end_all)

    def _next_batch(self, runner: Runner) -> list[TokenSequence]:
        """With the lock held: takes a batch out of the queue, for a worker."""
        now = self._clock()
        dispatch = self._choose_batch(runner.free_rows, now)
        if dispatch.sequences:
            self._note(dispatch, now)
        if self._scheduler.num_waiting and self._inline_worker is None:
            self._condition.notify()  # another worker may have room for them
        return dispatch.sequences

    def _choose_batch(self, free_rows: int, now: float) -> Dispatch:
        """With the lock held: drops the expired, then takes what the scheduler says."""
        if expired := self._drop_expired(now):
            self._call(self._expire, expired, now)
        return self._scheduler.next_batch(free_rows)

    def _note(self, dispatch: Dispatch, now: float) -> None:
        num_tokens = sum(sequence.num_tokens for sequence in dispatch.sequences)
        is_backlogged = self._scheduler.num_waiting > 0
        self._rate.observe(num_tokens, now, is_backlogged=is_backlogged)
        for sequence in dispatch.sequences:
            sequence.dispatched_at = now
        self._metrics.dispatches_total[dispatch.reason].inc()
        self._metrics.batch_rows.observe(len(dispatch.sequences))
        self._metrics.batch_padding_ratio.observe(padding_ratio(dispatch.sequences))

    def _drop_expired(self, now: float) -> list[TokenSequence]:
        """With the lock held: takes out and returns those whose deadline has passed."""
        if expired := self._scheduler.drop_expired(now):
            self._note_shrunk(now)
        return expired

    def _note_shrunk(self, now: float) -> None:
        """With the lock held: some have left the queue, and no engine took them."""
        if not self._scheduler.num_waiting:
            self._rate.pause(now)

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        """Runs a function on the event loop, soon; at once if this is it."""
        assert self._loop is not None
        if threading.get_ident() == self._loop_thread:
            function(*arguments)
            return
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop is closed: nobody waits any more
            logger.debug("an answer of model %s came after the end", self._name)
