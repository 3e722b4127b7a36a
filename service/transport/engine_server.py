"""The engine process's side: takes connections of front ends and asks its models for them."""

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any, NamedTuple

from service.engine.batch import Result, TokenSequence
from service.engine.batcher import Batcher
from service.engine.hidden_states.states_worker import ModelStates
from service.errors import InferenceFailed, ServingError
from service.transport.link import Handler, Link
from service.transport.mailbox import Mailbox
from service.transport.messages import (
    Message,
    Packed,
    pack_arrays,
    pack_error,
    pack_result,
    unpack_sequence,
)
from service.transport.remote_engine import HostedModel

logger = logging.getLogger(__name__)

STATUS_SECONDS = 0.1

FindFaults = Callable[[], list[str]]


class Engine(NamedTuple):
    """A model with what answers for it here."""

    model: HostedModel
    batcher: Batcher
    states: ModelStates


class EngineServer:
    """Serves the front ends that leave connections in a mailbox.

    Args:
        engines: of all models.
        find_faults: why they cannot answer.
    """

    def __init__(self, engines: Sequence[Engine], find_faults: FindFaults) -> None:
        self._engines, self._find_faults = engines, find_faults
        self._loop = asyncio.get_running_loop()
        self._front_ends: set[FrontEnd] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def num_front_ends(self) -> int:
        """Front ends that are connected, or about to be."""
        return len(self._front_ends) + len(self._opening)

    def open(self, mailbox: Mailbox) -> None:
        """Takes connections from now on."""
        self._mailbox = mailbox
        self._loop.add_reader(mailbox.fileno(), self._accept)
        self._tell_status()

    def close(self) -> None:
        """Takes no more connections and ends those that there are."""
        self._loop.remove_reader(self._mailbox.fileno())
        if self._timer is not None:
            self._timer.cancel()
        for front_end in list(self._front_ends):
            front_end.link.close()

    def _accept(self) -> None:
        connection = self._mailbox.take()
        if connection is None:
            return

        async def open_link() -> None:
            _, link = await self._loop.connect_accepted_socket(self._make_link, connection)
            models = [tuple(engine.model) for engine in self._engines]
            link.send(("hello", models))
            link.send(self._describe_status())

        task = self._loop.create_task(open_link())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def _make_link(self) -> Link:
        front_end = FrontEnd(self._engines, self._front_ends.discard)
        self._front_ends.add(front_end)
        return front_end.link

    def _tell_status(self) -> None:
        self._timer = self._loop.call_later(STATUS_SECONDS, self._tell_status)
        if self._front_ends:
            status = self._describe_status()
            for front_end in self._front_ends:
                front_end.link.send(status)

    def _describe_status(self) -> Message:
        now = time.monotonic()
        queues = [
            astuple(state)
            for state in (engine.batcher.queue_state(now) for engine in self._engines)
        ]
        return "status", self._find_faults(), queues


class FrontEnd:
    """One connected front end, and what it has asked and not got yet.

    Args:
        engines: of all models.
        on_lost: called with it once its connection has ended. What it asked is dropped then.
    """

    def __init__(self, engines: Sequence[Engine], on_lost: Callable[["FrontEnd"], None]) -> None:
        self._engines, self._on_lost = engines, on_lost
        self._pending: dict[int, asyncio.Future[Any]] = {}
        handlers: dict[str, Handler] = {
            "submit": self._submit,
            "cancel": self._cancel,
            "settle": self._settle,
            "read_states": self._read_states,
        }
        self.link = Link(handlers, self._lose, waits_for_reader=True)

    def _submit(self, place: int, rows: list[Packed]) -> None:
        sequences = {number: self._open(number, packed) for number, *packed in rows}
        try:
            futures = self._engines[place].batcher.submit(list(sequences.values()))
        except ServingError as exc:
            self.link.send(("refused", list(sequences), pack_error(exc)))
            return
        for (number, sequence), future in zip(sequences.items(), futures, strict=True):
            self._pending[number] = future
            future.add_done_callback(functools.partial(self._finish, number, sequence))

    def _open(self, number: int, packed: list[Any]) -> TokenSequence:
        sequence, wants_prefix, wants_tokens = unpack_sequence(tuple(packed))
        if wants_prefix:
            sequence.on_tokens = lambda token_ids: self.link.send(("tokens", number, token_ids))
        if wants_tokens:

            def tell(token_id: int, log_probability: float) -> bool:
                fields = (sequence.dispatched_at, token_id, log_probability)
                self.link.send(("token", number, *fields))
                return False  # the front end takes the sequence back if the text is to end

            sequence.on_token = tell
        return sequence

    def _finish(self, number: int, sequence: TokenSequence, future: asyncio.Future[Result]) -> None:
        self._pending.pop(number, None)
        if future.cancelled():
            return
        if (error := future.exception()) is not None:
            self._fail(number, error)
            return
        states = None if sequence.stream is None else pack_arrays(sequence.stream.states)
        times = (sequence.dispatched_at, sequence.finished_at)
        self.link.send(("result", number, *times, pack_result(future.result()), states))

    def _fail(self, number: int, error: BaseException) -> None:
        if not isinstance(error, ServingError):
            logger.error("a request failed", exc_info=error)
            error = InferenceFailed("the engine failed on a request; the server's log says why")
        self.link.send(("failed", number, pack_error(error)))

    def _cancel(self, number: int) -> None:
        if number in self._pending:
            self._pending[number].cancel()

    def _settle(self, number: int) -> None:
        self.link.send(("answer", number, None))

    def _read_states(
        self,
        number: int,
        place: int,
        input_ids: list[int],
        features: tuple[float, ...] | None,
        deadline: float,
    ) -> None:
        seconds_left = deadline - time.monotonic()
        reading = self._engines[place].states.read(input_ids, features, seconds_left)
        task = asyncio.ensure_future(reading)
        self._pending[number] = task
        task.add_done_callback(functools.partial(self._answer_states, number))

    def _answer_states(self, number: int, task: asyncio.Future[Any]) -> None:
        self._pending.pop(number, None)
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            self._fail(number, error)
        else:
            self.link.send(("answer", number, pack_arrays(task.result())))

    def _lose(self) -> None:
        for future in list(self._pending.values()):
            future.cancel()
        self._on_lost(self)
