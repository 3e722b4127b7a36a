"""Greedy and beam search over the decoder's step; sentences join and leave between steps."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Optional

import numpy as np

from service.batch import (
    FloatArray,
    Hypothesis,
    IntArray,
    Request,
    Result,
    SearchOptions,
    pad_requests,
)
from service.engine import Session

STATES = ("hidden", "cell")


class Path(NamedTuple):
    """A hypothesis as a linked list, last token first; beams share their beginning."""

    token_id: int
    before: Optional["Path"]
    attention: FloatArray | None


@dataclass(frozen=True)
class Beam:
    """A live hypothesis.

    Attributes:
        score: sum of log-probabilities.
        row: where its state lies in the decoder's last output.
    """

    path: Path
    score: float
    row: int


@dataclass(frozen=True)
class Memory:
    """What the decoder attends to, for N sentences.

    Attributes:
        keys: (N, A, S) float32.
        values: (N, S, M) float32.
        lengths: (N) int64.
    """

    keys: FloatArray
    values: FloatArray
    lengths: IntArray

    def select(self, rows: Sequence[int]) -> "Memory":
        """The given sentences, without the padding that only the others needed."""
        index = np.array(rows, dtype=np.int64)
        lengths = self.lengths[index]
        width = int(lengths.max())
        return Memory(self.keys[index, :, :width], self.values[index, :width], lengths)

    def join(self, other: "Memory") -> "Memory":
        """Both, one below the other, padded to the longer."""
        width = max(self.keys.shape[2], other.keys.shape[2])
        keys, values = (
            np.concatenate([_widen(getattr(part, name), axis, width) for part in (self, other)])
            for name, axis in (("keys", 2), ("values", 1))
        )
        return Memory(keys, values, np.concatenate([self.lengths, other.lengths]))


@dataclass
class Running:
    """A sentence in the decoder."""

    request: Request
    memory_row: int
    beams: list[Beam]
    num_steps: int = 0
    finished: list[Hypothesis] = field(default_factory=list)

    @property
    def options(self) -> SearchOptions:
        assert self.request.search is not None
        return self.request.search

    @property
    def num_candidates(self) -> int:
        """Next tokens to look at per beam: eos may be one, and all beams must go on."""
        return 1 if self.options.beam_size == 1 else self.options.beam_size + 1


class TranslatorRunner:
    """Decodes sentences in rows of one batch; each step moves every live hypothesis by one token.

    Args:
        encoder, decoder: the graphs of `export.to_onnx`.
        max_rows: live hypotheses at a time.
    """

    def __init__(
        self,
        encoder: Session,
        decoder: Session,
        pad_id: int,
        eos_id: int,
        max_rows: int,
    ) -> None:
        self._encoder, self._decoder = encoder, decoder
        self._pad_id, self._eos_id = pad_id, eos_id
        self._max_rows = max_rows
        self.reset()

    def reset(self) -> None:
        """Forgets all running sentences."""
        self._running: list[Running] = []
        self._memory: Memory | None = None
        self._states: dict[str, FloatArray] = {}

    @property
    def free_rows(self) -> int:
        return self._max_rows - sum(sentence.options.beam_size for sentence in self._running)

    @property
    def num_running(self) -> int:
        return len(self._running)

    def step(self, arrivals: list[Request]) -> list[tuple[Request, Result]]:
        """Lets arrivals join, moves all sentences one token on, returns those that ended.

        Raises:
            InferenceFailed: the step is lost for everyone running; call `reset`.
        """
        self._running = [
            sentence for sentence in self._running if not sentence.request.is_abandoned
        ]
        if joining := [request for request in arrivals if not request.is_abandoned]:
            self._join(joining)
        if not self._running:
            self.reset()
            return []
        self._advance()
        ended = [sentence for sentence in self._running if not sentence.beams]
        self._running = [sentence for sentence in self._running if sentence.beams]
        self._shrink()
        return [(sentence.request, rank_hypotheses(sentence)) for sentence in ended]

    def _join(self, arrivals: list[Request]) -> None:
        batch = pad_requests(arrivals, self._pad_id)
        encoded = self._encoder.run({"input_ids": batch.input_ids, "lengths": batch.lengths})
        memory = Memory(encoded["keys"], encoded["values"], batch.lengths)
        states = {name: array for name, array in encoded.items() if name in STATES}
        first_memory_row = first_state_row = 0
        if self._running and self._memory is not None:
            self._compact()
            first_memory_row = len(self._memory.lengths)
            first_state_row = self._states["hidden"].shape[1]
            memory = self._memory.join(memory)
            states = {
                name: np.concatenate([self._states[name], states[name]], axis=1) for name in states
            }
        self._memory, self._states = memory, states
        for index, request in enumerate(arrivals):
            start = Beam(Path(request.start_id, None, None), 0.0, first_state_row + index)
            self._running.append(Running(request, first_memory_row + index, [start]))

    def _advance(self) -> None:
        assert self._memory is not None
        rows = [(beam, sentence) for sentence in self._running for beam in sentence.beams]
        outputs = self._decoder.run(
            {
                "token_ids": np.array([beam.path.token_id for beam, _ in rows], dtype=np.int64),
                "parents": np.array([beam.row for beam, _ in rows], dtype=np.int64),
                "sentences": np.array(
                    [sentence.memory_row for _, sentence in rows], dtype=np.int64
                ),
                "keys": self._memory.keys,
                "values": self._memory.values,
                "lengths": self._memory.lengths,
                "num_candidates": np.array(
                    [max(sentence.num_candidates for sentence in self._running)], dtype=np.int64
                ),
                **self._states,
            }
        )
        self._states = {name: outputs[f"next_{name}"] for name in self._states}
        first_row = 0
        for sentence in self._running:
            block = slice(first_row, first_row + len(sentence.beams))
            attention = outputs["attention"][block] if sentence.options.with_attention else None
            scores, candidates = outputs["scores"][block], outputs["candidates"][block]
            first_row += len(sentence.beams)
            self._extend(sentence, scores, candidates, attention, block.start)

    def _extend(
        self,
        sentence: Running,
        scores: FloatArray,
        candidates: IntArray,
        attention: FloatArray | None,
        first_row: int,
    ) -> None:
        """Replaces the beams of one sentence by their best continuations.

        Args:
            sentence: with L beams.
            scores: (L, K), of the next tokens.
            candidates: (L, K), their ids.
            attention: (L, S), or None where nobody asked for it.
            first_row: of its beams in the decoder's output.
        """
        beam_size, num_tokens = sentence.options.beam_size, sentence.request.num_tokens
        sentence.num_steps += 1
        beams: list[Beam] = []
        for position, (score, index, token_id) in enumerate(
            rank_continuations(sentence, scores, candidates)
        ):
            weights = None if attention is None else attention[index, :num_tokens].copy()
            path = Path(token_id, sentence.beams[index].path, weights)
            if token_id != self._eos_id:
                beams.append(Beam(path, score, first_row + index))
            elif position < beam_size:
                sentence.finished.append(
                    close_path(path, score, sentence.num_steps, is_complete=True)
                )
            if len(beams) == beam_size:
                break
        sentence.beams = beams
        end_search(sentence)

    def _shrink(self) -> None:
        """Frees the memory of sentences that left, once they are the larger part."""
        if (
            self._memory is not None
            and self._running
            and 2 * len(self._running) < len(self._memory.lengths)
        ):
            self._compact()

    def _compact(self) -> None:
        assert self._memory is not None
        if len(self._running) < len(self._memory.lengths):
            self._memory = self._memory.select([sentence.memory_row for sentence in self._running])
            for row, sentence in enumerate(self._running):
                sentence.memory_row = row


def rank_continuations(
    sentence: Running, scores: FloatArray, candidates: IntArray
) -> list[tuple[float, int, int]]:
    """All continuations of a sentence's beams, best first: total score, index of beam, token id."""
    totals = [
        (beam.score + float(scores[index, rank]), index, int(candidates[index, rank]))
        for index, beam in enumerate(sentence.beams)
        for rank in range(sentence.num_candidates)
    ]
    return sorted(totals, key=lambda total: -total[0])


def end_search(sentence: Running) -> None:
    """Takes the beams off a sentence that has enough translations, or is at its length limit."""
    if len(sentence.finished) >= sentence.options.beam_size:
        sentence.beams = []
    elif sentence.num_steps >= sentence.options.max_new_tokens:
        sentence.finished += [
            close_path(beam.path, beam.score, sentence.num_steps, is_complete=False)
            for beam in sentence.beams
        ]
        sentence.beams = []


def close_path(path: Path, score: float, num_steps: int, *, is_complete: bool) -> Hypothesis:
    """A finished hypothesis from its last node; a closing eos is taken off."""
    nodes: list[Path] = []
    node: Path | None = path
    while node is not None and node.before is not None:
        nodes.append(node)
        node = node.before
    nodes.reverse()
    token_ids = [node.token_id for node in nodes]
    weights = [node.attention for node in nodes if node.attention is not None]
    return Hypothesis(
        token_ids[:-1] if is_complete else token_ids,
        score / num_steps,
        is_complete,
        np.stack(weights) if weights else None,
    )


def rank_hypotheses(sentence: Running) -> list[Hypothesis]:
    """At most as many as the beam is wide: complete ones first, then by score per token."""
    ranked = sorted(
        sentence.finished, key=lambda hypothesis: (not hypothesis.is_complete, -hypothesis.score)
    )
    return ranked[: sentence.options.beam_size]


def _widen(array: FloatArray, axis: int, width: int) -> FloatArray:
    missing = width - array.shape[axis]
    if missing == 0:
        return array
    padding = [(0, missing if index == axis else 0) for index in range(array.ndim)]
    return np.pad(array, padding)
