"""Which sentences get slots, and how they move between buckets.

The tests of the export compare the answers of real graphs with the paged search.
"""

from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest

from service.arrays import Array, IntArray
from service.engine.batch import TokenSequence
from service.engine.search.reranker import Ended
from service.engine.search.translator import JOIN_AT_ONCE, JOIN_INTERVAL, TranslatorRunner
from service.engine.slots.buckets import BEAM_STEPS, Bucket
from service.engine.slots.session import SlotSession
from service.engine.slots.translator import SlotGroup, SlotTranslatorRunner
from tests.fakes import EOS_ID, FakeRunner, make_sequence

BUCKETS = [Bucket(rows, width) for rows in (2, 16) for width in (8, 32)]


class FakeSlots:
    """Gives each sentence its own tokens back, then eos; beams end at once.

    Attributes:
        moves: buckets, in the order in which sentences joined them.
    """

    def __init__(self, beam_size: int) -> None:
        self.bucket, self.is_captured = BUCKETS[0], False
        self.moves: list[Bucket] = []
        self._beam_size = beam_size
        self._slots: list[TokenSequence | None] = [None] * self.bucket.rows
        self._given: dict[TokenSequence, int] = {}

    def capture(self) -> None:
        self.is_captured = True

    def join(self, bucket: Bucket, arrivals: Sequence[TokenSequence], sources: IntArray) -> None:
        known = [*self._slots, *arrivals]
        self._slots = [known[source] for source in sources]
        self.bucket = bucket
        self.moves.append(bucket)
        assert len(self._slots) == bucket.rows
        assert all(each is None or each.num_tokens <= bucket.width for each in self._slots)

    def step(self, num_steps: int) -> dict[str, Array]:
        if self._beam_size > 1:
            assert num_steps == BEAM_STEPS
            ranked = [EOS_ID] * self._beam_size + [20] * self._beam_size
            shape = (self.bucket.rows, num_steps, len(ranked))
            parents = np.tile(np.arange(self._beam_size), 2)
            return {
                "tokens": np.broadcast_to(ranked, shape),
                "parents": np.broadcast_to(parents, shape),
                "ranked_totals": np.zeros(shape, np.float32),
            }
        tokens = np.full((self.bucket.rows, num_steps), EOS_ID)
        for sequence in {each for each in self._slots if each is not None}:
            start = self._given.get(sequence, 0)
            self._given[sequence] = start + num_steps
            given = sequence.input_ids[start : start + num_steps]
            slots = [slot for slot, each in enumerate(self._slots) if each is sequence]
            tokens[slots, : len(given)] = given
        return {"tokens": tokens, "scores": np.zeros(tokens.shape, np.float32)}


class PagedRunner(FakeRunner):
    """Reranks nothing, and notes what it is given."""

    def __init__(self, max_rows: int) -> None:
        super().__init__(max_rows=max_rows)
        self.reranked: list[TokenSequence] = []

    def rerank(self, ended: list[Ended]) -> list[Ended]:
        self.reranked += [sequence for sequence, _ in ended]
        return ended


def make_runner(max_rows: int = 32) -> tuple[SlotTranslatorRunner, dict[int, FakeSlots]]:
    """A runner with slots for greedy decoding and beams of two; it pages in a `PagedRunner`."""
    slots = {size: FakeSlots(size) for size in (1, 2)}
    groups = {
        size: SlotGroup(cast(SlotSession, each), BUCKETS, size, EOS_ID)
        for size, each in slots.items()
    }
    paged = PagedRunner(max_rows)
    return SlotTranslatorRunner(groups, cast(TranslatorRunner, paged), max_rows), slots


def paged_batches(runner: SlotTranslatorRunner) -> list[list[TokenSequence]]:
    return cast(FakeRunner, runner.paged).batches


def run(
    runner: SlotTranslatorRunner, arrivals: list[TokenSequence]
) -> dict[TokenSequence, list[int]]:
    """The tokens of all that are running, once they have ended."""
    found = runner.step(arrivals)
    while runner.num_running:
        found += runner.step([])
    return {sequence: result[0].token_ids for sequence, result in found if isinstance(result, list)}


def test_what_slots_gave_is_reranked_and_what_was_paged_is_not_again() -> None:
    runner, _ = make_runner()
    in_slots, paged = (
        [make_sequence(3), make_sequence(2, beam_size=2)],
        make_sequence(3, beam_size=3),
    )

    run(runner, [*in_slots, paged])

    assert paged_batches(runner) == [[paged]]
    assert set(cast(PagedRunner, runner.paged).reranked) == set(in_slots)


def test_each_sentence_gets_what_its_own_slot_gave() -> None:
    runner, _ = make_runner()
    sequences = [make_sequence(length) for length in (3, 1, 5, 2)]

    found = run(runner, sequences)

    assert found == {sequence: sequence.input_ids for sequence in sequences}
    assert paged_batches(runner) == []


def test_sentences_that_run_go_on_when_others_join() -> None:
    runner, slots = make_runner()
    first, second = make_sequence(5), make_sequence(7)
    runner.step([first])
    runner.step([])

    found = run(runner, [second])

    assert found == {first: first.input_ids, second: second.input_ids}
    assert slots[1].moves == [Bucket(2, 8), Bucket(2, 8)]


def test_buckets_grow_with_the_sentences_and_shrink_when_few_are_left() -> None:
    runner, slots = make_runner()
    short = [make_sequence(2) for _ in range(4)]
    long = make_sequence(8)

    found = run(runner, [*short, long])

    assert slots[1].moves == [Bucket(16, 8), Bucket(2, 8)]
    assert found[long] == long.input_ids


def test_a_long_sentence_takes_a_wider_bucket() -> None:
    runner, slots = make_runner()
    runner.step([make_sequence(9, max_new_tokens=20)])

    assert slots[1].moves == [Bucket(2, 32)]


def test_abandoned_sentences_leave_their_slots() -> None:
    runner, _ = make_runner()
    leaving, staying = make_sequence(5), make_sequence(5)
    runner.step([leaving, staying])
    leaving.is_abandoned = True

    assert run(runner, []) == {staying: staying.input_ids}


def test_beams_have_slots_of_their_own() -> None:
    runner, slots = make_runner()
    greedy, beams = make_sequence(2), make_sequence(2, beam_size=2)
    runner.step([greedy, beams])

    assert (len(slots[1].moves), len(slots[2].moves)) == (1, 1)
    assert paged_batches(runner) == []


def test_what_slots_cannot_do_goes_to_the_paged_search() -> None:
    runner, slots = make_runner()
    streamed_beams = make_sequence(2, beam_size=2)
    streamed_beams.on_tokens = lambda token_ids: None
    others = [
        make_sequence(2, with_attention=True),
        make_sequence(33),
        make_sequence(2, beam_size=3),
        streamed_beams,
    ]

    runner.step(others)

    assert paged_batches(runner) == [others]
    assert slots[1].moves == slots[2].moves == []


def test_sentences_without_a_free_slot_go_to_the_paged_search() -> None:
    runner, _ = make_runner()
    sequences = [make_sequence(5) for _ in range(18)]
    runner.step(sequences)

    assert paged_batches(runner) == [sequences[16:]]


def test_rows_are_free_that_neither_search_uses() -> None:
    runner, _ = make_runner(max_rows=32)
    runner.step([make_sequence(5), make_sequence(5)])

    assert (runner.free_rows, runner.num_running) == (30, 2)


def test_many_running_sentences_let_others_join_every_few_steps() -> None:
    runner, _ = make_runner()
    runner.step([make_sequence(8) for _ in range(JOIN_AT_ONCE)])
    free = []
    for _ in range(JOIN_INTERVAL):
        free.append(runner.free_rows)
        runner.step([])

    assert [rows > 0 for rows in free] == [False] * JOIN_INTERVAL
    assert runner.free_rows > 0


def test_reset_forgets_all() -> None:
    runner, _ = make_runner()
    runner.step([make_sequence(5), make_sequence(2, with_attention=True)])
    runner.reset()

    assert (runner.num_running, runner.free_rows) == (0, 32)


@pytest.mark.parametrize("failing", [None, 1, 2])
def test_steps_are_captured_if_those_of_all_groups_are(failing: int | None) -> None:
    runner, slots = make_runner()
    assert not runner.is_captured
    runner.capture()
    if failing is not None:
        slots[failing].is_captured = False

    assert runner.is_captured == (failing is None)
