"""The sequences of one model that wait for an engine. Its methods take its lock."""

import math
import threading
from collections.abc import Callable

from service.engine.batch import TokenSequence, padding_ratio
from service.engine.runner import Runner
from service.engine.scheduling.admission import (
    QueueLimits,
    QueueState,
    ServiceRate,
    check_admission,
)
from service.engine.scheduling.scheduler import Dispatch, Scheduler
from service.engine.scheduling.step_cost import StepCost
from service.errors import Overloaded
from service.telemetry.metrics import ModelMetrics

ExpiryListener = Callable[[list[TokenSequence], float], None]


class WaitingQueue:
    """Admits, hands out batches, drops what has expired; shared by the event loop and all workers.

    The lock is held for microseconds, never during a step.

    Args:
        model_name: for messages.
        scheduler: the policy; nothing else may touch it.
        limits: of admission.
        metrics: where batches and refusals are counted.
        on_expired: told which sequences were dropped and when, with the lock held, on whatever
            thread noticed.
        wakes_workers: whether a new sequence wakes a worker; if not, `take_if` does.
    """

    def __init__(
        self,
        model_name: str,
        scheduler: Scheduler,
        limits: QueueLimits,
        metrics: ModelMetrics,
        on_expired: ExpiryListener,
        *,
        wakes_workers: bool = True,
    ) -> None:
        self.model_name, self._scheduler, self._limits = model_name, scheduler, limits
        self._metrics, self._on_expired = metrics, on_expired
        self._wakes_workers = wakes_workers
        self._rate, self._cost = ServiceRate(), StepCost()
        self._condition = threading.Condition()
        self._cost_lock = threading.Lock()  # a fit takes too long for the one of the queue
        self._is_closed = False
        self._empty_at = -math.inf  # the last time
        metrics.queue_requests.set_function(lambda: scheduler.num_waiting)
        metrics.queue_tokens.set_function(lambda: scheduler.waiting_tokens)

    @property
    def num_waiting(self) -> int:
        return self._scheduler.num_waiting

    def predict_wait(self, now: float) -> float:
        """Seconds until what is queued now has left the queue; 0 if too little is known."""
        return self._rate.predict_seconds(self._scheduler.waiting_tokens, now)

    def limit_wait(self, now: float) -> float:
        """The longest predicted wait with which a sequence is admitted now."""
        return self._limits.limit_wait(self._measure_standing(now))

    def count_refusals(self, reason: str, num: int) -> None:
        self._metrics.shed_total[reason].inc(num)

    def add(self, sequences: list[TokenSequence], now: float) -> None:
        """Admits all sequences or none; one that has expired never takes the place of another.

        Raises:
            InputTooLong: together they are above the queue's limit, so that waiting does not help.
            Overloaded: the queue is full, or too slow for them.
        """
        with self._condition:
            try:
                try:
                    check_admission(self.model_name, sequences, self.state(now), self._limits, now)
                except Overloaded:
                    if not self._drop_expired(now):
                        raise
                    check_admission(self.model_name, sequences, self.state(now), self._limits, now)
            except Overloaded as refusal:
                self.count_refusals(refusal.reason, 1)
                raise
            self._note_empty(now)
            self._scheduler.add(sequences)
            if self._wakes_workers:
                self._condition.notify(len(sequences))

    def remove(self, sequence: TokenSequence, now: float) -> None:
        """Takes a sequence out; nothing happens if it is not queued."""
        with self._condition:
            self._scheduler.remove(sequence)
            self._note_shrunk(now)

    def wait_for_batch(self, runner: Runner, clock: Callable[[], float]) -> list[TokenSequence]:
        """The next batch for a runner; none if it has sequences of its own to step.

        Blocks while there is nothing to do.

        Raises:
            QueueClosed: the worker shall end.
        """
        with self._condition:
            while not self._is_closed:
                now = clock()
                dispatch = self._choose(runner.free_rows, now)
                if dispatch.sequences:
                    self._note_dispatch(dispatch, now)
                    if self._scheduler.num_waiting and self._wakes_workers:
                        self._condition.notify()  # another worker may have room for them
                if dispatch.sequences or runner.num_running:
                    return dispatch.sequences
                self._condition.wait()
        raise QueueClosed

    def take_if(
        self, is_wanted: Callable[[list[TokenSequence]], bool], free_rows: int, now: float
    ) -> list[TokenSequence]:
        """The next batch if it is wanted; one that is not is left for a worker, which is woken."""
        with self._condition:
            dispatch = self._choose(free_rows, now)
            if dispatch.sequences and not is_wanted(dispatch.sequences):
                self._scheduler.add(dispatch.sequences)
                self._condition.notify()
                return []
            if dispatch.sequences:
                self._note_dispatch(dispatch, now)
            return dispatch.sequences

    def learn_cost(self, num_rows: int, length: int, seconds: float) -> None:
        """Notes what a batch took; batches are cut by what the model's own have shown."""
        with self._cost_lock:
            self._cost.observe(num_rows, length, seconds)
            # one immutable value for another: a thread that cuts a batch meanwhile needs no lock
            self._scheduler.overhead = self._cost.overhead

    def close(self) -> None:
        """Ends all workers that wait for a batch."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()

    def state(self, now: float) -> QueueState:
        """How much is queued, and the wait predicted from it."""
        scheduler = self._scheduler
        seconds = (self.predict_wait(now), self._measure_standing(now))
        return QueueState(scheduler.num_waiting, scheduler.waiting_tokens, *seconds)

    def _choose(self, free_rows: int, now: float) -> Dispatch:
        self._drop_expired(now)
        return self._scheduler.next_batch(free_rows)

    def _drop_expired(self, now: float) -> bool:
        expired = self._scheduler.drop_expired(now)
        if expired:
            self._note_shrunk(now)
            self._on_expired(expired, now)
        return bool(expired)

    def _measure_standing(self, now: float) -> float:
        """Seconds since the queue was empty."""
        return now - self._empty_at if self._scheduler.num_waiting else 0.0

    def _note_empty(self, now: float) -> None:
        if not self._scheduler.num_waiting:
            self._empty_at = now

    def _note_shrunk(self, now: float) -> None:
        """Some sequences have left the queue without an engine taking them."""
        if not self._scheduler.num_waiting:
            self._rate.pause(now)

    def _note_dispatch(self, dispatch: Dispatch, now: float) -> None:
        num_tokens = sum(sequence.num_tokens for sequence in dispatch.sequences)
        is_backlogged = self._scheduler.num_waiting > 0
        self._rate.observe(num_tokens, now, is_backlogged=is_backlogged)
        for sequence in dispatch.sequences:
            sequence.dispatched_at = now
        self._metrics.dispatches_total[dispatch.reason].inc()
        self._metrics.batch_rows.observe(len(dispatch.sequences))
        self._metrics.batch_padding_ratio.observe(padding_ratio(dispatch.sequences))


class QueueClosed(Exception):  # noqa: N818 - an end, not an error
    """The queue was closed; nothing will come out of it any more."""
