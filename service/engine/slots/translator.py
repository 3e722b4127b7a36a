"""Greedy decoding in slots; what slots cannot do goes to the paged search.

Answers are those of `service.engine.search.translator`, token by token.
"""

from dataclasses import dataclass, field

import numpy as np

from service.engine.batch import Hypothesis, Result, TokenSequence
from service.engine.search.beams import mark_loop
from service.engine.search.repetition import MAX_PERIOD
from service.engine.search.translator import (
    JOIN_AT_ONCE,
    JOIN_INTERVAL,
    LOOP_INTERVAL,
    LOOP_TOKENS,
    TranslatorRunner,
)
from service.engine.slots.buckets import Bucket, choose_bucket, choose_steps
from service.engine.slots.session import SlotSession


@dataclass
class SlottedSequence:
    """A sentence in a slot.

    Attributes:
        token_ids: so far, without eos.
        total: the sum of their log-probabilities.
    """

    sequence: TokenSequence
    token_ids: list[int] = field(default_factory=list)
    total: float = 0.0

    def advance(self, tokens: list[int], scores: list[float], eos_id: int) -> Hypothesis | None:
        """Takes the tokens of one call; the translation, if it ends with one of them."""
        assert self.sequence.search is not None
        limit = self.sequence.search.max_new_tokens
        for token, score in zip(tokens, scores, strict=True):
            self.total += score
            if token == eos_id:
                return Hypothesis(self.token_ids, self.total / (len(self.token_ids) + 1))
            self.token_ids.append(token)
            count = len(self.token_ids)
            if count >= LOOP_TOKENS and count % LOOP_INTERVAL == 0 and self._repeats():
                return Hypothesis(self.token_ids, self.total / count, "loop")
            if count >= limit:
                return Hypothesis(self.token_ids, self.total / count, "length")
        return None

    def _repeats(self) -> bool:
        tail = self.token_ids[-LOOP_TOKENS:]
        return any(tail[period:] == tail[:-period] for period in range(1, MAX_PERIOD + 1))


class SlotTranslatorRunner:
    """Decodes in the smallest bucket that holds the sentences in slots; one runner per model.

    A call of `step` is several steps of the decoder if many sentences are in slots. Beams,
    attention weights, and sentences wider than the widest bucket go to the paged search, a step per
    call.

    Args:
        slots: the runner's own.
        paged: the search with the same weights.
        buckets: those of `slots`, smallest first.
        eos_id: ends a translation.
        max_rows: live hypotheses at a time.
    """

    def __init__(
        self,
        slots: SlotSession,
        paged: TranslatorRunner,
        buckets: list[Bucket],
        eos_id: int,
        max_rows: int,
    ) -> None:
        self.slots, self.paged = slots, paged
        self._buckets, self._eos_id = buckets, eos_id
        self._max_rows = min(max_rows, buckets[-1].rows)
        self.reset()

    def reset(self) -> None:
        """Forgets all running sentences."""
        self.paged.reset()
        self._held: dict[int, SlottedSequence] = {}  # by slot
        self._num_steps = self._next_join = 0

    @property
    def free_rows(self) -> int:
        if self.num_running >= JOIN_AT_ONCE and self._num_steps < self._next_join:
            return 0
        return min(self.paged.free_rows, self._max_rows) - len(self._held)

    @property
    def batch_seconds(self) -> float:
        """0: what joins slots is encoded without waiting for it."""
        return 0.0

    @property
    def num_running(self) -> int:
        return len(self._held) + self.paged.num_running

    def step(self, arrivals: list[TokenSequence]) -> list[tuple[TokenSequence, Result]]:
        """Lets arrivals join, advances all sentences, returns those that ended.

        Raises:
            InferenceFailed: all running sequences are lost; call `reset`.
        """
        fitting = [sequence for sequence in arrivals if self._fits(sequence)]
        others = [sequence for sequence in arrivals if not self._fits(sequence)]
        finished: list[tuple[TokenSequence, Result]] = []
        if others or self.paged.num_running:
            finished += self.paged.step(others)
        self._arrange([sequence for sequence in fitting if not sequence.is_abandoned])
        if self._held:
            finished += self._advance()
        if arrivals:
            self._next_join = self._num_steps + JOIN_INTERVAL
        return finished

    def _fits(self, sequence: TokenSequence) -> bool:
        """Whether slots can do what a sentence asks for."""
        search = sequence.search
        assert search is not None
        is_greedy = search.beam_size == 1 and not search.with_attention
        return is_greedy and sequence.num_tokens <= self._buckets[-1].width

    def _arrange(self, arrivals: list[TokenSequence]) -> None:
        """Frees the slots of those who have gone, and moves if others join or few are left."""
        kept = {slot: held for slot, held in self._held.items() if not held.sequence.is_abandoned}
        self._held = kept
        sequences = [*(held.sequence for held in kept.values()), *arrivals]
        if not sequences:
            return
        longest = max(sequence.num_tokens for sequence in sequences)
        bucket = choose_bucket(self._buckets, len(sequences), longest)
        present = self.slots.bucket
        if not arrivals and bucket.rows >= present.rows:
            return
        sources = np.zeros(bucket.rows, np.int64)
        places = [*kept, *range(present.rows, present.rows + len(arrivals))]
        sources[: len(places)] = places
        self.slots.join(bucket, arrivals, sources)
        self._held = dict(enumerate([*kept.values(), *map(SlottedSequence, arrivals)]))

    def _advance(self) -> list[tuple[TokenSequence, Result]]:
        count = choose_steps(len(self._held))
        tokens, scores = (array.tolist() for array in self.slots.step(count))
        self._num_steps += count
        finished: list[tuple[TokenSequence, Result]] = []
        for slot, held in list(self._held.items()):
            num_before = len(held.token_ids)
            ended = held.advance(tokens[slot], scores[slot], self._eos_id)
            sequence = held.sequence
            if sequence.on_tokens and len(held.token_ids) > num_before:
                sequence.on_tokens(held.token_ids[num_before:])
            if ended:
                finished.append((sequence, [mark_loop(ended, sequence.input_ids)]))
                del self._held[slot]
        return finished
