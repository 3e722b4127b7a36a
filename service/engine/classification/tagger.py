"""Runs the graphs of a tagger: whole texts in one step, text as it comes in a token at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from service.arrays import FloatArray
from service.engine.batch import Result, TokenSequence
from service.engine.classification.classifier import ClassifierRunner
from service.engine.runtime.session import Session


class TaggerRunner(ClassifierRunner):
    """A runner whose results are the label scores of every token, (T, C)."""

    def step(self, arrivals: list[TokenSequence]) -> list[tuple[TokenSequence, Result]]:
        """See `ClassifierRunner.step`."""
        return [
            (sequence, logits[: sequence.num_tokens])
            for sequence, logits in super().step(arrivals)
            if isinstance(logits, np.ndarray)
        ]


@dataclass
class Row:
    """A sequence in the running batch, and the label scores of its tokens so far."""

    sequence: TokenSequence
    scores: list[FloatArray] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        return len(self.scores) == self.sequence.num_tokens or self.sequence.is_abandoned


class StreamTaggerRunner:
    """A runner of texts that come in piece by piece, and of whole ones.

    A sequence with a `stream` is a piece. It goes on from the states that the stream holds, joins
    the batch between two tokens, and leaves the states after its last token there. Nothing of a
    stream is kept here between its pieces.

    Args:
        whole: for sequences without a stream.
        session: one step; see `export.graphs.taggers.build_step`.
        shapes: (L, H) of each state, by its name.
        max_rows: pieces in the batch.
    """

    def __init__(
        self,
        whole: TaggerRunner,
        session: Session,
        shapes: Mapping[str, tuple[int, int]],
        max_rows: int,
    ) -> None:
        self._whole, self._session = whole, session
        self._zeros = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        self._max_rows = max_rows
        self.reset()

    @property
    def free_rows(self) -> int:
        return self._max_rows - len(self._rows)

    @property
    def num_running(self) -> int:
        return len(self._rows)

    @property
    def batch_seconds(self) -> float:
        return self._whole.batch_seconds

    def step(self, arrivals: list[TokenSequence]) -> list[tuple[TokenSequence, Result]]:
        """Labels whole texts, and the next token of each piece.

        Raises:
            InferenceFailed: none of the arrivals and of the running pieces has an answer.
        """
        whole = [sequence for sequence in arrivals if sequence.stream is None]
        finished = self._whole.step(whole) if whole else []
        self._join([sequence for sequence in arrivals if sequence.stream is not None])
        if self._rows:
            self._step_rows()
            finished += self._leave()
        return finished

    def reset(self) -> None:
        """Drops all running pieces; their streams have the states from before them."""
        self._rows: list[Row] = []
        self._parents: list[int] = []
        self._states = {name: zeros[:, :0] for name, zeros in self._stacked([]).items()}

    def _join(self, arrivals: list[TokenSequence]) -> None:
        if not arrivals:
            return
        num_before = next(iter(self._states.values())).shape[1]
        joining = self._stacked(
            [sequence.stream.states for sequence in arrivals if sequence.stream]
        )
        self._states = {
            name: np.concatenate([self._states[name], joining[name]], axis=1)
            for name in self._states
        }
        self._parents += range(num_before, num_before + len(arrivals))
        self._rows += map(Row, arrivals)

    def _step_rows(self) -> None:
        token_ids = [row.sequence.input_ids[len(row.scores)] for row in self._rows]
        outputs = self._session.run(
            {"token_ids": np.array(token_ids), "parents": np.array(self._parents), **self._states}
        )
        self._states = {name: outputs[f"next_{name}"] for name in self._states}
        for row, scores in zip(self._rows, outputs["logits"], strict=True):
            row.scores.append(scores)

    def _leave(self) -> list[tuple[TokenSequence, Result]]:
        """Takes the pieces that are done out of the batch, and their states into their streams."""
        finished: list[tuple[TokenSequence, Result]] = []
        for place, row in enumerate(self._rows):
            if row.is_done and row.sequence.stream is not None:
                # copies: a view would keep the states of the whole batch
                row.sequence.stream.states = {
                    name: state[:, place].copy() for name, state in self._states.items()
                }
                finished.append((row.sequence, np.stack(row.scores)))
        self._parents = [place for place, row in enumerate(self._rows) if not row.is_done]
        self._rows = [self._rows[place] for place in self._parents]
        return finished

    def _stacked(self, states: list[dict[str, FloatArray]]) -> dict[str, FloatArray]:
        """States (L, H) as a batch (L, R, H); zeros for streams that have read nothing yet."""
        if not states:
            return {name: zeros[:, None] for name, zeros in self._zeros.items()}
        return {
            name: np.stack([each.get(name, zeros) for each in states], axis=1)
            for name, zeros in self._zeros.items()
        }
