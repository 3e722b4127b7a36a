"""The interface of a runner, and running one to the end without a server."""

from collections.abc import Sequence
from typing import Protocol

from service.engine.batch import Result, TokenSequence
from service.engine.scheduling.scheduler import Scheduler


class Runner(Protocol):
    """Steps one model; owned by one thread."""

    @property
    def free_rows(self) -> int: ...

    @property
    def num_running(self) -> int: ...

    @property
    def batch_seconds(self) -> float:
        """What the padded batch of the last step's arrivals took; 0 if that was not measured."""
        ...

    def step(self, arrivals: list[TokenSequence]) -> list[tuple[TokenSequence, Result]]: ...

    def reset(self) -> None: ...


def run_sequences(
    runner: Runner, sequences: Sequence[TokenSequence], max_batch_tokens: int = 4096
) -> list[Result]:
    """Runs sequences to their end on the calling thread; results come in their order."""
    scheduler = Scheduler(runner.free_rows, max_batch_tokens)
    scheduler.add(list(sequences))
    results: dict[TokenSequence, Result] = {}
    while scheduler.num_waiting or runner.num_running:
        results.update(runner.step(scheduler.next_batch(runner.free_rows).sequences))
    return [results[sequence] for sequence in sequences]
