"""The asyncio side of the states: a thread of their own, so that no answer waits for it."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from service.arrays import FloatArray
from service.engine.hidden_states.states import StatesSession
from service.errors import DeadlineExceeded, Overloaded

TOO_LATE = "the deadline passed before the states were read; allow more time or ask for less text"


class StatesWorker:
    """Reads the states of all models of a server, one text at a time, in the order asked.

    The thread starts with the first text.

    Args:
        max_tokens: that may wait.
    """

    def __init__(self, max_tokens: int) -> None:
        self._max_tokens, self._num_waiting = max_tokens, 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="states")

    async def read(
        self,
        states: StatesSession,
        input_ids: Sequence[int],
        features: Sequence[float] | None,
        seconds_left: float,
    ) -> dict[str, FloatArray]:
        """Gives what `StatesSession.read` does.

        If the caller is cancelled, a text that still waits is not read.

        Raises:
            Overloaded: too many tokens wait.
            DeadlineExceeded: `seconds_left` have passed.
            ArtefactError, InferenceFailed: see `StatesSession.read`.
        """
        if self._num_waiting + len(input_ids) > self._max_tokens:
            raise Overloaded(
                f"the states of {self._num_waiting} tokens are being read, and {len(input_ids)} "
                f"more would be above the limit of {self._max_tokens}; retry later",
                0.0,
                "tokens",
            )
        self._num_waiting += len(input_ids)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds_left):
                return await loop.run_in_executor(self._thread, states.read, input_ids, features)
        except TimeoutError:
            raise DeadlineExceeded(TOO_LATE) from None
        finally:
            self._num_waiting -= len(input_ids)

    def stop(self) -> None:
        """Reads nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class ModelStates:
    """The states of one model, read by the worker of all."""

    session: StatesSession
    worker: StatesWorker

    async def read(
        self, input_ids: Sequence[int], features: Sequence[float] | None, seconds_left: float
    ) -> dict[str, FloatArray]:
        """See `StatesWorker.read`."""
        return await self.worker.read(self.session, input_ids, features, seconds_left)
