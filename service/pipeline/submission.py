"""What one client's request needs of the models: submitted together, awaited, taken back."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType

from service.engine.batch import Result, TokenSequence
from service.errors import DeadlineExceeded
from service.repository.registry import ServedModel

TOO_LATE = "the deadline passed before the answer was ready; allow more time or send less"


@dataclass(frozen=True)
class ModelBatch:
    """Requests for one model, and the model."""

    served: ServedModel
    sequences: list[TokenSequence]


def group_by_model(
    parts: Iterable[tuple[ServedModel, Sequence[TokenSequence]]],
) -> list[ModelBatch]:
    """The requests of all parts by model, in their order."""
    work: dict[str, ModelBatch] = {}
    for served, sequences in parts:
        work.setdefault(served.manifest.name, ModelBatch(served, [])).sequences.extend(sequences)
    return list(work.values())


def name_models(work: Sequence[ModelBatch]) -> tuple[str, str]:
    """Names and versions of the models that answer, comma-separated if there are several."""
    manifests = [part.served.manifest for part in work]
    return ",".join(manifest.name for manifest in manifests), ",".join(
        manifest.version for manifest in manifests
    )


class Submission:
    """A context within which requests are in the queues and engines of their models.

    Whatever ends it, an answer, an error or a client that hung up, takes back what is not done.

    Args:
        work: submitted when the context is entered; it may raise what `Batcher.submit` raises.
        deadline: monotonic seconds, by `clock`.
        clock: of the pipeline.

    Attributes:
        work: all that has been submitted.
    """

    def __init__(
        self, work: Sequence[ModelBatch], deadline: float, clock: Callable[[], float]
    ) -> None:
        self._first_work = work
        self.work: list[ModelBatch] = []
        self._seconds_left = deadline - clock()
        self._futures: dict[TokenSequence, asyncio.Future[Result]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._listener: Callable[[TokenSequence], None] | None = None

    def __enter__(self) -> "Submission":
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Submits the work.

        Raises:
            DeadlineExceeded: the deadline has passed; and what `Batcher.submit` raises.
        """
        if self._seconds_left <= 0:
            raise DeadlineExceeded(TOO_LATE)
        try:
            for part in self._first_work:
                self.add(part.served, part.sequences)
        except BaseException:
            self.close()
            raise
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._seconds_left, self._give_up)

    def add(self, served: ServedModel, sequences: list[TokenSequence]) -> None:
        """Submits further requests; raises what `Batcher.submit` raises."""
        futures = served.batcher.submit(sequences)
        self.work.append(ModelBatch(served, sequences))
        added = dict(zip(sequences, futures, strict=True))
        self._futures |= added
        if self._listener:
            self._listen(added, self._listener)

    async def settle(self) -> None:
        """Returns once all requests are admitted.

        Raises:
            Overloaded, InputTooLong, ModelNotReady: some are not.
            DeadlineExceeded: the deadline passed first.
        """
        try:
            async with asyncio.timeout(self._seconds_left):
                for part in self.work:
                    await part.served.batcher.settle()
        except TimeoutError:
            raise DeadlineExceeded(TOO_LATE) from None
        for future in self._futures.values():
            if future.done():
                future.result()

    async def results(self) -> dict[TokenSequence, Result]:
        """All results.

        Raises:
            DeadlineExceeded: the deadline passed first.
            InferenceFailed, ModelNotReady: what the engine says of a request.
            Overloaded, InputTooLong: an engine from afar does not admit it.
        """
        if len(self.work) > 1:  # a refusal of the last is not to wait for the others' results
            await self.settle()
        return {sequence: await future for sequence, future in self._futures.items()}

    def call_when_done(self, function: Callable[[TokenSequence], None]) -> None:
        """Calls a function on the event loop with each request that is done, well or badly."""
        self._listener = function
        self._listen(self._futures, function)

    def result(self, sequence: TokenSequence) -> Result:
        """The result of a request that is done; raises what `results` raises."""
        return self._futures[sequence].result()

    @staticmethod
    def _listen(
        futures: Mapping[TokenSequence, asyncio.Future[Result]],
        function: Callable[[TokenSequence], None],
    ) -> None:
        for sequence, future in futures.items():
            future.add_done_callback(lambda _, sequence=sequence: function(sequence))  # type: ignore[misc]

    def _give_up(self) -> None:
        for future in self._futures.values():
            if not future.done():
                future.set_exception(DeadlineExceeded(TOO_LATE))
                return  # `results` awaits this one first

    def close(self) -> None:
        """Takes back what is not done."""
        self._listener = None  # it may hold the submission
        if self._timer is not None:
            self._timer.cancel()
        for future in self._futures.values():
            if not future.cancel() and not future.cancelled():
                future.exception()  # known; asyncio would report it as never looked at
