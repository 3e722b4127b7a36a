"""The engine process as a front end sees it: models whose queues and graphs are over there."""

import asyncio
import functools
import itertools
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from service.arrays import FloatArray
from service.engine.batch import Generation, Result, TokenSequence
from service.engine.hidden_states.states_worker import TOO_LATE
from service.engine.scheduling.admission import QueueLimits, QueueState
from service.engine.scheduling.forecast import Forecast
from service.errors import DeadlineExceeded, ModelNotReady, Overloaded, ServingError
from service.telemetry.metrics import ModelMetrics
from service.transport.link import HIGH_WATER_BYTES, Handler, Link
from service.transport.mailbox import Mailbox
from service.transport.messages import (
    Packed,
    pack_sequence,
    unpack_arrays,
    unpack_error,
    unpack_result,
)

logger = logging.getLogger(__name__)

# What clients are told to wait for: about the time in which an engine process starts.
RESTART_SECONDS = 5.0
# The engine tells its state ten times per second; after this time without a word it is stuck.
SILENT_SECONDS = 10.0
# The mailbox is full while many front ends wait for one engine.
FULL_MAILBOX_SECONDS = 0.05

GONE = "the engine process has ended and is being started again; retry"


class HostedModel(NamedTuple):
    """A model of the engine process.

    Attributes:
        precision: of its graphs.
        device_kind, device_index: see `service.engine.runtime.device.Device`.
        digest: of its manifest.
    """

    name: str
    version: str
    precision: str
    device_kind: str
    device_index: int
    digest: str


@dataclass(eq=False, slots=True)
class Call:
    """Something asked of the engine that has not been answered.

    Attributes:
        sequence: None if it is something else.
        token_ids, log_probabilities: of a text whose tokens are told one by one.
    """

    future: asyncio.Future[Any]
    sequence: TokenSequence | None = None
    token_ids: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)


class RemoteEngine:
    """A connection to the engine process, opened anew whenever it has ended.

    Args:
        mailbox: of the engine.
    """

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._link: Link | None = None  # only while it is known which models are there
        self._models: list[HostedModel] = []
        self._faults: list[str] = []
        self._queues: list[QueueState] = []
        self._heard_at = 0.0
        self._is_known = asyncio.Event()
        self._is_stopping = False
        self._calls: dict[int, Call] = {}
        self._numbers = itertools.count()
        self.is_outdated = False

    async def open(self) -> list[HostedModel]:
        """Connects; waits for as long as the engine takes to be there."""
        await self._connect()
        await self._is_known.wait()
        return self._models

    async def stop(self, drain_seconds: float) -> None:
        """Lets the engine answer what was asked for `drain_seconds`, and gives up the rest."""
        self._is_stopping = True
        if futures := [call.future for call in self._calls.values()]:
            await asyncio.wait(futures, timeout=drain_seconds)
        self._end_all("the server is stopping; retry elsewhere")
        if self._link is not None:
            self._link.close()

    def faults(self) -> list[str]:
        """Why it cannot answer, one sentence each."""
        if self.is_outdated:
            return ["the models have changed; this process is replaced"]
        if self._link is None:
            return ["the engine process is being started"]
        silent_seconds = time.monotonic() - self._heard_at
        if silent_seconds > SILENT_SECONDS:
            return [f"the engine process has not been heard of for {silent_seconds:.0f} s"]
        return self._faults

    def queue_state(self, place: int) -> QueueState:
        """The queue of a model a tenth of a second ago."""
        return self._queues[place] if place < len(self._queues) else QueueState(0, 0, 0.0)

    def submit(self, place: int, sequences: list[TokenSequence]) -> list[asyncio.Future[Result]]:
        """Sends sequences to a model; see `RemoteBatcher.submit`."""
        link = self._find_link()
        if link.is_backed_up:
            raise Overloaded(
                f"the engine process is more than {HIGH_WATER_BYTES} bytes of requests behind; "
                "retry later",
                0.0,
                "requests",
            )
        calls = {self._open_call(sequence): sequence for sequence in sequences}
        packed = [(number, *pack_sequence(sequence)) for number, sequence in calls.items()]
        link.send(("submit", place, packed))
        return [self._calls[number].future for number in calls]

    async def settle(self) -> None:
        """Returns once the engine has read everything that was sent before.

        Raises:
            ModelNotReady: it has ended.
        """
        await self._ask("settle")

    async def read_states(
        self, place: int, input_ids: Sequence[int], features: Sequence[float] | None, seconds: float
    ) -> dict[str, FloatArray]:
        """See `RemoteStates.read`."""
        deadline = time.monotonic() + seconds
        try:
            async with asyncio.timeout(seconds):
                packed = await self._ask(
                    "read_states", place, list(input_ids), features and tuple(features), deadline
                )
        except TimeoutError:
            raise DeadlineExceeded(TOO_LATE) from None
        return unpack_arrays(packed)

    # --- the connection ---

    async def _connect(self) -> None:
        while True:
            try:
                connection = self._mailbox.leave()
                break
            except BlockingIOError:
                await asyncio.sleep(FULL_MAILBOX_SECONDS)

        def make_link() -> Link:
            handlers: dict[str, Handler] = {
                "hello": lambda models: self._greet(link, models),
                "status": self._note_status,
                "refused": self._refuse,
                "failed": self._fail,
                "result": self._finish,
                "tokens": self._tell_tokens,
                "token": self._tell_token,
                "answer": self._answer,
            }
            link: Link = Link(handlers, self._lose, waits_for_reader=False)
            return link

        await asyncio.get_running_loop().create_unix_connection(make_link, sock=connection)

    def _greet(self, link: Link, models: list[Packed]) -> None:
        hosted = [HostedModel(*fields) for fields in models]
        if self._is_known.is_set() and hosted != self._models:
            self.is_outdated = True
            logger.error("the engine process has other models than before; this one is replaced")
            return
        self._models, self._link = hosted, link
        self._heard_at = time.monotonic()
        self._is_known.set()

    def _lose(self) -> None:
        was_known, self._link = self._link is not None, None
        if self._is_stopping:
            return
        if was_known:
            logger.error("the engine process is gone, and %d requests with it", len(self._calls))
        self._end_all(GONE)
        self._reconnecting = asyncio.create_task(self._connect())

    def _find_link(self) -> Link:
        if self._link is None or self._is_stopping:
            raise ModelNotReady(GONE, RESTART_SECONDS)
        return self._link

    # --- what is asked ---

    def _open_call(self, sequence: TokenSequence | None = None) -> int:
        number = next(self._numbers)
        future = asyncio.get_running_loop().create_future()
        self._calls[number] = Call(future, sequence)
        future.add_done_callback(functools.partial(self._release, number))
        return number

    async def _ask(self, name: str, *fields: object) -> Any:
        link = self._find_link()
        number = self._open_call()
        link.send((name, number, *fields))
        return await self._calls[number].future

    def _release(self, number: int, _: asyncio.Future[Any]) -> None:
        """Takes back what its client has given up; an answered call is not pending any more."""
        if self._calls.pop(number, None) is not None and self._link is not None:
            self._link.send(("cancel", number))

    # --- what the engine says ---

    def _note_status(self, faults: list[str], queues: list[Packed]) -> None:
        self._heard_at = time.monotonic()
        self._faults = faults
        self._queues = [QueueState(*fields) for fields in queues]

    def _refuse(self, numbers: list[int], error: Packed) -> None:
        for number in numbers:
            self._fail(number, error)

    def _fail(self, number: int, error: Packed) -> None:
        self._end(self._calls.pop(number, None), unpack_error(error))

    def _finish(
        self,
        number: int,
        dispatched_at: float,
        finished_at: float,
        result: Packed,
        states: dict[str, Packed] | None,
    ) -> None:
        call = self._calls.pop(number, None)
        if call is None or call.future.done():
            return
        sequence = call.sequence
        assert sequence is not None
        sequence.dispatched_at, sequence.finished_at = dispatched_at, finished_at
        if sequence.stream is not None and states is not None:
            sequence.stream.states = unpack_arrays(states)
        call.future.set_result(unpack_result(result))

    def _tell_tokens(self, number: int, token_ids: list[int]) -> None:
        call = self._calls.get(number)
        if call is not None and call.sequence is not None and call.sequence.on_tokens is not None:
            call.sequence.on_tokens(token_ids)

    def _tell_token(
        self, number: int, dispatched_at: float, token_id: int, log_probability: float
    ) -> None:
        """Passes a token on; if that ends its text, the text is complete here already."""
        call = self._calls.get(number)
        if call is None or call.future.done():
            return
        sequence = call.sequence
        assert sequence is not None
        assert sequence.on_token is not None
        call.token_ids.append(token_id)
        call.log_probabilities.append(log_probability)
        if sequence.on_token(token_id, log_probability):
            sequence.dispatched_at, sequence.finished_at = dispatched_at, time.monotonic()
            # `_release` takes it back from the engine, which goes on until then
            call.future.set_result(Generation(call.token_ids, call.log_probabilities, "stop"))

    def _answer(self, number: int, value: Any) -> None:
        call = self._calls.pop(number, None)
        if call is not None and not call.future.done():
            call.future.set_result(value)

    def _end_all(self, message: str) -> None:
        calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            self._end(call, ModelNotReady(message, RESTART_SECONDS))

    @staticmethod
    def _end(call: Call | None, error: ServingError) -> None:
        if call is not None and not call.future.done():
            call.future.set_exception(error)


class RemoteBatcher:
    """The queue of one model of the engine process; `service.engine.batcher.Batcher` from afar.

    Args:
        model_name: for messages.
        place: of the model among those of the engine.
        engine: its process.
        limits: of admission, for what is refused here already.
        metrics: where refusals are counted.
    """

    def __init__(
        self,
        model_name: str,
        place: int,
        engine: RemoteEngine,
        limits: QueueLimits,
        metrics: ModelMetrics,
    ) -> None:
        self.model_name = model_name
        self._place, self._engine = place, engine
        self._limits, self._metrics = limits, metrics

    def submit(self, sequences: list[TokenSequence]) -> list[asyncio.Future[Result]]:
        """Sends all sequences to the engine, which admits all or none.

        A refusal comes by the futures; `settle` waits for it. Cancelling a future takes its
        sequence back.

        Raises:
            Overloaded: the engine does not keep up with reading.
            ModelNotReady: there is no engine.
        """
        try:
            return self._engine.submit(self._place, sequences)
        except Overloaded as refusal:
            self.count_refusals(refusal.reason, 1)
            raise

    async def settle(self) -> None:
        """Returns once everything submitted before is admitted or refused.

        Raises:
            ModelNotReady: the engine has ended.
        """
        await self._engine.settle()

    def forecast(self) -> Forecast:
        """The wait of what is about to be submitted."""
        return Forecast(self, time.monotonic())

    # --- the queue as it was a tenth of a second ago, for the forecast ---

    @property
    def num_waiting(self) -> int:
        return self._state.num_sequences

    def predict_wait(self, now: float) -> float:  # noqa: ARG002 - what was told, as it was told
        """Seconds until what was queued has left the queue; 0 if too little is known."""
        return self._state.wait_seconds

    def limit_wait(self, now: float) -> float:  # noqa: ARG002
        """The longest predicted wait with which a sequence is admitted."""
        return self._limits.limit_wait(self._state.standing_seconds)

    def count_refusals(self, reason: str, num: int) -> None:
        self._metrics.shed_total[reason].inc(num)

    @property
    def _state(self) -> QueueState:
        return self._engine.queue_state(self._place)


@dataclass(frozen=True)
class RemoteStates:
    """The states of one model of the engine process; `ModelStates` from afar.

    Attributes:
        place: of the model among those of the engine.
    """

    engine: RemoteEngine
    place: int

    async def read(
        self, input_ids: Sequence[int], features: Sequence[float] | None, seconds_left: float
    ) -> dict[str, FloatArray]:
        """See `service.engine.hidden_states.states_worker.StatesWorker.read`.

        Raises:
            ModelNotReady: there is no engine, or it has ended; and what is raised there.
        """
        return await self.engine.read_states(self.place, input_ids, features, seconds_left)
