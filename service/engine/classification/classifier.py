"""Runs the classifier graph: a batch of sequences in, the label scores of each out."""

import time

from service.arrays import FloatArray
from service.engine.batch import Result, TokenSequence, pad_sequences
from service.engine.runtime.session import Session


class ClassifierRunner:
    """A runner whose every step answers what arrived.

    Args:
        session: the classifier graph; output "logits" (B, C).
        pad_id: fills short rows; any id will do, the graph masks by length.
        max_rows: rows per step.
    """

    def __init__(self, session: Session, pad_id: int, max_rows: int) -> None:
        self._session = session
        self._pad_id = pad_id
        self._max_rows = max_rows
        self.batch_seconds = 0.0

    @property
    def free_rows(self) -> int:
        return self._max_rows

    @property
    def num_running(self) -> int:
        return 0

    def step(self, arrivals: list[TokenSequence]) -> list[tuple[TokenSequence, Result]]:
        """Scores all arrivals in one run.

        Raises:
            InferenceFailed: none of the arrivals has an answer.
        """
        batch = pad_sequences(arrivals, self._pad_id)
        started_at = time.perf_counter()
        logits: FloatArray = self._session.run(batch.feeds)["logits"]
        self.batch_seconds = time.perf_counter() - started_at
        return list(zip(arrivals, logits, strict=True))

    def reset(self) -> None:
        """Nothing outlives a step."""
