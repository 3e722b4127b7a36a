"""Decoding in slots, greedily and in beams; what slots cannot do goes to the paged search.

Answers are those of `service.engine.search.translator`, token by token.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from service.engine.batch import Result, TokenSequence
from service.engine.search.translator import JOIN_AT_ONCE, JOIN_INTERVAL, TranslatorRunner
from service.engine.slots.buckets import BEAM_STEPS, Bucket, choose_bucket, choose_steps
from service.engine.slots.sequences import BeamSequence, GreedySequence, SlottedSequence
from service.engine.slots.session import SlotSession

GREEDY = 1


class SlotGroup:
    """The sentences of one beam size, in the smallest bucket that holds them.

    Args:
        session: of the graphs of that beam size; the group's own.
        buckets: those of the session, smallest first.
        beam_size: 1 is greedy.
        eos_id: ends a translation.
    """

    def __init__(
        self, session: SlotSession, buckets: Sequence[Bucket], beam_size: int, eos_id: int
    ) -> None:
        self.session, self.beam_size = session, beam_size
        self._buckets = list(buckets)
        kind: Callable[[TokenSequence, int], SlottedSequence]
        kind = GreedySequence if beam_size == GREEDY else BeamSequence
        self._hold = lambda sequence: kind(sequence, eos_id)
        self.held: dict[int, SlottedSequence] = {}
        """By slot."""

    @property
    def num_rows(self) -> int:
        return self.beam_size * len(self.held)

    @property
    def capacity(self) -> int:
        """Sentences at a time."""
        return self._buckets[-1].rows

    def fits(self, sequence: TokenSequence) -> bool:
        """Whether the slots can do what a sentence of the beam size asks for."""
        search = sequence.search
        assert search is not None, "a sentence to translate says how"
        # what all hypotheses share is known to the paged search alone
        is_told = search.with_attention or (sequence.on_tokens and self.beam_size > GREEDY)
        return not is_told and sequence.num_tokens <= self._buckets[-1].width

    def step(
        self, arrivals: Sequence[TokenSequence]
    ) -> tuple[list[tuple[TokenSequence, Result]], int]:
        """Lets arrivals join and advances all: the sentences that ended, and steps in the call."""
        self._arrange([sequence for sequence in arrivals if not sequence.is_abandoned])
        if not self.held:
            return [], 0
        greedy = self.beam_size == GREEDY
        num_steps = choose_steps(len(self.held)) if greedy else BEAM_STEPS
        outputs = self.session.step(num_steps)
        finished: list[tuple[TokenSequence, Result]] = []
        for slot, held in list(self.held.items()):
            result = held.advance(outputs, slot)
            if result is not None:
                finished.append((held.sequence, result))
                del self.held[slot]
        return finished, num_steps

    def _arrange(self, arrivals: Sequence[TokenSequence]) -> None:
        """Frees the slots of abandoned sentences; moves if others join or few are left."""
        kept = {slot: held for slot, held in self.held.items() if not held.sequence.is_abandoned}
        self.held = kept
        sequences = [*(held.sequence for held in kept.values()), *arrivals]
        if not sequences:
            return
        longest = max(sequence.num_tokens for sequence in sequences)
        bucket = choose_bucket(self._buckets, len(sequences), longest)
        present = self.session.bucket
        if not arrivals and bucket.rows >= present.rows:
            return
        sources = np.zeros(bucket.rows, np.int64)
        places = [*kept, *range(present.rows, present.rows + len(arrivals))]
        sources[: len(places)] = places
        self.session.join(bucket, arrivals, sources)
        self.held = dict(enumerate([*kept.values(), *map(self._hold, arrivals)]))


class SlotTranslatorRunner:
    """Decodes in slots what fits there; one runner per model.

    A call of `step` is several steps of the decoder for beams, and if many sentences are in slots.
    Attention weights, streamed beams, sentences wider than the widest bucket, and what finds no
    free slot go to the paged search, a step per call.

    Args:
        groups: by beam size.
        paged: the search with the same weights.
        max_rows: live hypotheses at a time.
    """

    def __init__(
        self, groups: Mapping[int, SlotGroup], paged: TranslatorRunner, max_rows: int
    ) -> None:
        self.groups, self.paged, self._max_rows = groups, paged, max_rows
        self.reset()

    @property
    def slots(self) -> SlotSession:
        """The session of greedy decoding."""
        return self.groups[GREEDY].session

    @property
    def is_captured(self) -> bool:
        """Whether all steps are replayed as CUDA graphs."""
        return all(group.session.is_captured for group in self.groups.values())

    def capture(self) -> None:
        """Records the steps of all groups as CUDA graphs; see `SlotSession.capture`."""
        for group in self.groups.values():
            group.session.capture()

    def reset(self) -> None:
        """Forgets all running sentences."""
        self.paged.reset()
        for group in self.groups.values():
            group.held = {}
        self._num_steps = self._next_join = 0

    @property
    def free_rows(self) -> int:
        if self.num_running >= JOIN_AT_ONCE and self._num_steps < self._next_join:
            return 0
        held = sum(group.num_rows for group in self.groups.values())
        return min(self.paged.free_rows, self._max_rows) - held

    @property
    def batch_seconds(self) -> float:
        """0: what joins slots is encoded without waiting for it."""
        return 0.0

    @property
    def num_running(self) -> int:
        return sum(len(group.held) for group in self.groups.values()) + self.paged.num_running

    def step(self, arrivals: list[TokenSequence]) -> list[tuple[TokenSequence, Result]]:
        """Lets arrivals join, advances all sentences, returns those that ended.

        Raises:
            InferenceFailed: all running sequences are lost; call `reset`.
        """
        in_slots: dict[int, list[TokenSequence]] = {size: [] for size in self.groups}
        others: list[TokenSequence] = []
        for sequence in arrivals:
            group = self.groups.get(sequence.num_rows)
            joining = in_slots.get(sequence.num_rows, [])
            has_room = group and len(group.held) + len(joining) < group.capacity
            (joining if group and has_room and group.fits(sequence) else others).append(sequence)
        finished: list[tuple[TokenSequence, Result]] = []
        if others or self.paged.num_running:
            finished += self.paged.step(others)
        most = 0
        ended_in_slots: list[tuple[TokenSequence, Result]] = []
        for size, group in self.groups.items():
            ended, num_steps = group.step(in_slots[size])
            ended_in_slots += ended
            most = max(most, num_steps)
        finished += self.paged.rerank(ended_in_slots)
        self._num_steps += most
        if arrivals:
            self._next_join = self._num_steps + JOIN_INTERVAL
        return finished
