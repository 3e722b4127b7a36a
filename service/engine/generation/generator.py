"""Generates texts token by token; texts join and leave between steps.

All texts advance together, as arrays (`rows`), and no text depends on another.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from service.arrays import BoolArray, FloatArray, IntArray
from service.engine.batch import Generation, Result, TokenSequence
from service.engine.generation.rows import Rows, open_row, stack_rows


class StepSession(Protocol):
    """The graphs of a model that gives the logits of a text's next token."""

    @property
    def prefill_seconds(self) -> float:
        """What reading the last arrivals took."""
        ...

    @property
    def num_rows(self) -> int:
        """State rows there are: those of the last step, and of the sequences read since."""
        ...

    def clear(self) -> None:
        """Forgets all texts."""
        ...

    def read(self, sequences: Sequence[TokenSequence]) -> list[list[int]]:
        """Adds a state row per sequence; returns the tokens that each text begins with."""
        ...

    def step(self, token_ids: IntArray, parents: IntArray) -> FloatArray:
        """The logits (R, V) after one token more for each of R texts; see `GeneratorSession`."""
        ...


class GeneratorRunner:
    """Generates texts in rows of one batch; a step gives each one token more.

    Args:
        session: of the model's graphs; the runner's own.
        eos_id: ends a text; None if texts go on to their limits.
        max_rows: texts at a time.
    """

    def __init__(self, session: StepSession, eos_id: int | None, max_rows: int) -> None:
        self._session = session
        self._eos_id, self._max_rows = -1 if eos_id is None else eos_id, max_rows
        self.reset()

    @property
    def session(self) -> StepSession:
        """The graphs, for measurements while nothing runs."""
        return self._session

    def reset(self) -> None:
        """Forgets all running texts."""
        self._session.clear()
        self._sequences: list[TokenSequence] = []
        self._rows: Rows | None = None
        self._parents: IntArray = np.arange(0)  # the state row of each text

    @property
    def free_rows(self) -> int:
        return self._max_rows - len(self._sequences)

    @property
    def num_running(self) -> int:
        return len(self._sequences)

    @property
    def batch_seconds(self) -> float:
        """What reading the last arrivals' prompts took."""
        return self._session.prefill_seconds

    def step(self, arrivals: list[TokenSequence]) -> list[tuple[TokenSequence, Result]]:
        """Lets arrivals join, gives all texts one token more, returns those that ended.

        Raises:
            InferenceFailed: all running texts are lost; call `reset`.
        """
        self._remove({n for n, each in enumerate(self._sequences) if each.is_abandoned})
        if joining := [sequence for sequence in arrivals if not sequence.is_abandoned]:
            self._join(joining)
        rows = self._rows
        if rows is None:
            return []
        logits = self._session.step(rows.last_token_ids, self._parents)
        self._parents = np.arange(len(rows))
        token_ids, log_probabilities = rows.append(logits)
        is_eos = token_ids == self._eos_id
        stopped = self._tell(token_ids, log_probabilities, is_eos)
        ended = stopped | set(np.flatnonzero(is_eos | rows.is_full).tolist())
        results: list[tuple[TokenSequence, Result]] = [
            (self._sequences[place], self._close(rows, place, is_eos, stopped))
            for place in sorted(ended)
        ]
        self._remove(ended)
        return results

    def _join(self, joining: list[TokenSequence]) -> None:
        first_row = self._session.num_rows
        begun = self._session.read(joining)
        new = [open_row(*pair) for pair in zip(joining, begun, strict=True)]
        self._rows = stack_rows([self._rows, *new] if self._rows else new)
        self._sequences += joining
        self._parents = np.concatenate([self._parents, first_row + np.arange(len(joining))])

    def _tell(
        self, token_ids: IntArray, log_probabilities: FloatArray, is_eos: BoolArray
    ) -> set[int]:
        """Passes the tokens on to `on_token`; returns the places of the texts that it ends."""
        listening = [
            place
            for place, sequence in enumerate(self._sequences)
            if sequence.on_token is not None and not is_eos[place]
        ]
        stopped = set()
        for place in listening:
            on_token = self._sequences[place].on_token
            assert on_token is not None
            if on_token(int(token_ids[place]), float(log_probabilities[place])):
                stopped.add(place)
        return stopped

    @staticmethod
    def _close(rows: Rows, place: int, is_eos: BoolArray, stopped: set[int]) -> Generation:
        token_ids, log_probabilities = rows.text_of(place)
        if is_eos[place]:
            return Generation(token_ids[:-1], log_probabilities, "eos")
        return Generation(token_ids, log_probabilities, "stop" if place in stopped else "length")

    def _remove(self, places: set[int]) -> None:
        """Removes texts; their state rows are left out by the next step."""
        if not places or self._rows is None:
            return
        staying = [place for place in range(len(self._sequences)) if place not in places]
        if not staying:
            self.reset()
            return
        self._sequences = [self._sequences[place] for place in staying]
        self._rows, self._parents = self._rows.take(staying), self._parents[staying]
