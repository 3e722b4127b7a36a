"""Sentences in slots, greedily decoded and in beams: what has been found, and whether it ends.

The rules are those of `service.engine.search.translator`, for one sentence.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from service.arrays import Array
from service.engine.batch import Defect, Hypothesis, Result, TokenSequence
from service.engine.search.beams import RunningSequence, mark_loop, rank_hypotheses
from service.engine.search.repetition import MAX_PERIOD
from service.engine.search.translator import LOOP_INTERVAL, LOOP_TOKENS

Outputs = Mapping[str, Array]


class SlottedSequence(Protocol):
    """A sentence in a slot."""

    @property
    def sequence(self) -> TokenSequence: ...

    def advance(self, outputs: Outputs, slot: int) -> Result | None:
        """Takes what one call gave for its slot; the translation, if it ends with that."""
        ...


class GreedySequence:
    """A sentence with one hypothesis.

    Args:
        sequence: it.
        eos_id: ends its translation.
    """

    def __init__(self, sequence: TokenSequence, eos_id: int) -> None:
        self.sequence, self._eos_id = sequence, eos_id
        self._token_ids: list[int] = []
        self._total = 0.0

    def advance(self, outputs: Outputs, slot: int) -> Result | None:
        """See `SlottedSequence.advance`; passes new tokens on."""
        num_before = len(self._token_ids)
        tokens, scores = outputs["tokens"][slot].tolist(), outputs["scores"][slot].tolist()
        ended = self._take(tokens, scores)
        if self.sequence.on_tokens and len(self._token_ids) > num_before:
            self.sequence.on_tokens(self._token_ids[num_before:])
        return [mark_loop(ended, self.sequence.input_ids)] if ended else None

    def _take(self, tokens: Sequence[int], scores: Sequence[float]) -> Hypothesis | None:
        limit = read_limit(self.sequence)
        for token, score in zip(tokens, scores, strict=True):
            self._total += score
            if token == self._eos_id:
                return Hypothesis(self._token_ids, self._total / (len(self._token_ids) + 1))
            self._token_ids.append(token)
            count = len(self._token_ids)
            defect = find_defect(self._token_ids, limit)
            if defect:
                return Hypothesis(self._token_ids, self._total / count, defect)
        return None


class BeamSequence:
    """A sentence with B hypotheses.

    Args:
        sequence: it.
        eos_id: ends a hypothesis.
    """

    def __init__(self, sequence: TokenSequence, eos_id: int) -> None:
        self.sequence, self._eos_id = sequence, eos_id
        self._running = RunningSequence(sequence, handle=0, first_call=0)
        self._beam_size = self._running.options.beam_size
        self._live: list[list[int]] = [[]] * self._beam_size

    def advance(self, outputs: Outputs, slot: int) -> Result | None:
        """See `SlottedSequence.advance`."""
        names = ("tokens", "parents", "ranked_totals")
        for ranked in zip(*(outputs[name][slot].tolist() for name in names), strict=True):
            if self._step(list(zip(*ranked, strict=True))):
                return rank_hypotheses(self._running)
        return None

    def _step(self, ranked: Sequence[tuple[int, int, float]]) -> bool:
        """Takes the ranked continuations of one step; whether the sentence has enough."""
        finished = self._running.finished
        for token, parent, total in ranked[: self._beam_size]:
            if token == self._eos_id:
                token_ids = self._live[parent]
                finished.append(Hypothesis(token_ids, total / (len(token_ids) + 1)))
        kept = [each for each in ranked if each[0] != self._eos_id][: self._beam_size]
        self._live = [[*self._live[parent], token] for token, parent, _ in kept]
        if len(finished) >= self._beam_size:
            return True
        defect = find_defect(self._live[0], read_limit(self.sequence))
        if defect is None:
            return False
        finished += [
            Hypothesis(token_ids, total / len(token_ids), defect)
            for token_ids, (_, _, total) in zip(self._live, kept, strict=True)
        ]
        return True


def read_limit(sequence: TokenSequence) -> int:
    assert sequence.search is not None, "a sentence to translate says how"
    return sequence.search.max_new_tokens


def find_defect(token_ids: Sequence[int], limit: int) -> Defect | None:
    """Why a hypothesis must end without eos, if it must."""
    count = len(token_ids)
    if count >= LOOP_TOKENS and count % LOOP_INTERVAL == 0 and repeats(token_ids):
        return "loop"
    return "length" if count >= limit else None


def repeats(token_ids: Sequence[int]) -> bool:
    """Whether the last tokens repeat a short period."""
    tail = token_ids[-LOOP_TOKENS:]
    return any(tail[period:] == tail[:-period] for period in range(1, MAX_PERIOD + 1))
