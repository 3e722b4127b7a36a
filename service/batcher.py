"""The asyncio shell around one model: admission, futures, the loop that feeds the engine thread."""

import asyncio
import functools
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from service.batch import Request, Result, padding_ratio
from service.errors import (
    DeadlineExceeded,
    InferenceFailed,
    InputTooLong,
    ModelNotReady,
    Overloaded,
    ServingError,
)
from service.loader import Runner
from service.metrics import Metrics
from service.scheduler import Scheduler

logger = logging.getLogger(__name__)

Clock = Callable[[], float]


@dataclass(frozen=True)
class QueueLimits:
    """Bounds of the queue; what is above is refused at once."""

    max_requests: int
    max_tokens: int


class Batcher:
    """Owns one runner and the only thread that calls it.

    The loop hands the thread one step at a time: it waits for nothing while the engine is idle, and
    what arrives during a step forms the next batch.
    """

    def __init__(
        self,
        model_name: str,
        runner: Runner,
        scheduler: Scheduler,
        limits: QueueLimits,
        metrics: Metrics,
        clock: Clock = time.monotonic,
    ) -> None:
        self._name, self._runner, self._scheduler = model_name, runner, scheduler
        self._limits, self._metrics, self._clock = limits, metrics, clock
        self._futures: dict[Request, asyncio.Future[Result]] = {}
        self._arrival = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"engine-{model_name}")
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._step_started_at: float | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"batcher-{self._name}")
        self._task.add_done_callback(self._bury)

    async def stop(self, drain_seconds: float) -> None:
        """Refuses new requests, lets admitted ones finish for `drain_seconds`, fails the rest."""
        self._stopping = True
        self._arrival.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=drain_seconds)
            self._task.cancel()
            await asyncio.wait([self._task])
        self._fail(
            list(self._futures), ModelNotReady, f"model {self._name} was stopped; retry elsewhere"
        )
        self._thread.shutdown(wait=False, cancel_futures=True)

    def submit(self, requests: list[Request]) -> list[asyncio.Future[Result]]:
        """Admits all requests or none, at once.

        Cancelling a future takes its request out of the queue, or out of the engine before the next
        step.

        Raises:
            InputTooLong: together they are above the queue's limit, so waiting is no help.
            Overloaded: the queue is full.
            ModelNotReady: the batcher is stopping, or its loop has died.
        """
        if self._stopping or self._task is None or self._task.done():
            raise ModelNotReady(f"model {self._name} is not accepting requests; retry elsewhere")
        self._check_room(requests)
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Result]] = []
        for request in requests:
            future: asyncio.Future[Result] = loop.create_future()
            future.add_done_callback(functools.partial(self._release, request))
            self._futures[request] = future
            futures.append(future)
        self._scheduler.add(requests)
        self._metrics.queue_requests.labels(self._name).set(self._scheduler.num_waiting)
        self._arrival.set()
        return futures

    @property
    def num_pending(self) -> int:
        """Admitted requests that somebody still waits for."""
        return len(self._futures)

    def fault(self, stall_seconds: float) -> str | None:
        """Why this model cannot answer: its loop died, or a step has run for `stall_seconds`."""
        if self._task is None or self._task.done():
            return f"the batcher of model {self._name} is not running"
        started_at = self._step_started_at
        busy_seconds = 0.0 if started_at is None else self._clock() - started_at
        if busy_seconds > stall_seconds:
            return f"the engine of model {self._name} has not answered for {busy_seconds:.0f} s"
        return None

    def _check_room(self, requests: list[Request]) -> None:
        scheduler, limits = self._scheduler, self._limits
        num_tokens = sum(request.num_tokens for request in requests)
        if (
            scheduler.num_waiting + len(requests) > limits.max_requests
            or scheduler.waiting_tokens + num_tokens > limits.max_tokens
        ):
            self._expire()  # nobody is refused for the sake of the dead
        for reason, count, waiting, limit in (
            ("requests", len(requests), scheduler.num_waiting, limits.max_requests),
            ("tokens", num_tokens, scheduler.waiting_tokens, limits.max_tokens),
        ):
            if count > limit:
                raise InputTooLong(
                    f"{count} {reason} at once are above the limit of {limit} for the queue of "
                    f"model {self._name}; send less at a time"
                )
            if waiting + count > limit:
                self._metrics.shed_total.labels(self._name, reason).inc()
                raise Overloaded(
                    f"the queue of model {self._name} holds {waiting} {reason}, and {count} more "
                    f"are above the limit of {limit}; retry later or send less at a time",
                    retry_after_seconds=1.0,
                )

    async def _run(self) -> None:
        while True:
            self._expire()
            arrivals = self._scheduler.next_batch(self._runner.free_rows)
            self._metrics.queue_requests.labels(self._name).set(self._scheduler.num_waiting)
            if arrivals or self._runner.num_running:
                await self._step(arrivals)
            elif self._stopping:
                return
            else:
                self._arrival.clear()
                await self._arrival.wait()

    async def _step(self, arrivals: list[Request]) -> None:
        now = self._step_started_at = self._clock()
        for request in arrivals:
            request.dispatched_at = now
        if arrivals:
            self._metrics.batch_rows.labels(self._name).observe(len(arrivals))
            self._metrics.batch_padding_ratio.labels(self._name).observe(padding_ratio(arrivals))
        try:
            finished = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._runner.step, arrivals
            )
        except Exception as exc:  # whatever a step raises fails those in it, and the loop lives on
            self._fail_running(exc)
            return
        finally:
            self._step_started_at = None
        self._metrics.running_sequences.labels(self._name).set(self._runner.num_running)
        finished_at = self._clock()
        for request, result in finished:
            request.finished_at = finished_at
            future = self._futures.pop(request, None)
            if future is not None and not future.done():
                future.set_result(result)

    def _release(self, request: Request, future: asyncio.Future[Result]) -> None:
        """Nobody waits for a cancelled future: its request leaves at the next step."""
        self._futures.pop(request, None)
        request.is_abandoned = future.cancelled()

    def _fail_running(self, exc: Exception) -> None:
        logger.error("a step of model %s failed", self._name, exc_info=exc)
        self._runner.reset()
        self._metrics.running_sequences.labels(self._name).set(0)
        # what the runtime says of it can hold shapes, paths and addresses: for the log alone
        message = "the engine failed on a batch; the server's log says why"
        running = [request for request in self._futures if request.is_dispatched]
        self._fail(running, InferenceFailed, message)

    def _bury(self, task: asyncio.Task[None]) -> None:
        """When the loop itself dies, nobody is left waiting; `fault` tells of it from then on."""
        if not task.cancelled() and (exc := task.exception()) is not None:
            logger.error("the batcher of model %s died", self._name, exc_info=exc)
            message = f"the batcher of model {self._name} died; retry elsewhere"
            self._fail(list(self._futures), ModelNotReady, message)

    def _expire(self) -> None:
        now = self._clock()
        for request in self._scheduler.drop_dead(now):
            waited = now - request.arrived_at
            self._fail(
                [request],
                DeadlineExceeded,
                f"the deadline passed after {waited:.3f} s in the queue; allow more time",
            )

    def _fail(self, requests: list[Request], error: type[ServingError], message: str) -> None:
        for request in requests:
            future = self._futures.pop(request, None)
            if future is not None and not future.done():
                future.set_exception(error(message))
