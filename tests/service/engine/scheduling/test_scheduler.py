import random
from collections import Counter

import pytest

from service.engine.batch import TokenSequence
from service.engine.scheduling.scheduler import MAX_AGE_SECONDS, Scheduler
from service.engine.scheduling.step_cost import PRIOR_ROWS_PER_POSITION
from tests.fakes import NEVER, make_sequence


def make_scheduler(
    sequences: list[TokenSequence], max_batch_size: int = 8, max_batch_tokens: int = 100
) -> Scheduler:
    scheduler = Scheduler(max_batch_size, max_batch_tokens)
    scheduler.add(sequences)
    return scheduler


def lengths_of(batch: list[TokenSequence]) -> list[int]:
    return [sequence.num_tokens for sequence in batch]


def take(scheduler: Scheduler, free_rows: int = 8) -> list[TokenSequence]:
    return scheduler.next_batch(free_rows).sequences


def test_earliest_deadline_leads() -> None:
    late, urgent = make_sequence(9, deadline=50.0), make_sequence(3, deadline=0.5)
    scheduler = make_scheduler([late, urgent], max_batch_tokens=9)

    assert [take(scheduler), take(scheduler)] == [[urgent], [late]]


def test_first_come_leads_among_equal_deadlines() -> None:
    first, second = make_sequence(9, deadline=5.0), make_sequence(2, deadline=5.0)

    assert take(make_scheduler([first, second], max_batch_tokens=9)) == [first]


def test_old_sequence_leads_whatever_the_deadlines_of_later_ones() -> None:
    old = make_sequence(40, deadline=1000.0, arrived_at=0.0)
    later = [
        make_sequence(3, deadline=MAX_AGE_SECONDS + 1.0, arrived_at=MAX_AGE_SECONDS + 0.1)
        for _ in range(5)
    ]

    assert take(make_scheduler([*later, old])) == [old]


def test_neighbours_in_length_fill_the_batch() -> None:
    leader = make_sequence(10, deadline=0.5)
    others = [make_sequence(length) for length in (1, 50, 11, 30, 9)]

    batch = take(make_scheduler([*others, leader], max_batch_size=3), 3)

    assert batch[0] is leader
    assert sorted(lengths_of(batch)) == [9, 10, 11]


def test_a_few_texts_of_unlike_length_share_a_batch_where_that_is_cheaper() -> None:
    scheduler = make_scheduler([make_sequence(length) for length in (10, 14, 16)])

    assert len(take(scheduler)) == 3


def test_long_text_does_not_pad_many_short_ones() -> None:
    long = make_sequence(60, deadline=0.5)
    short = [make_sequence(6) for _ in range(6)]
    scheduler = make_scheduler([*short, long], max_batch_tokens=4096)

    assert [lengths_of(take(scheduler)) for _ in range(2)] == [[60], [6] * 6]


@pytest.mark.parametrize(
    ("lengths", "reason"),
    [([5, 5], "drained"), ([5] * 9, "full"), ([5, 5, 5, 40], "length")],
)
def test_dispatch_says_why_the_batch_ends(lengths: list[int], reason: str) -> None:
    scheduler = make_scheduler([make_sequence(length) for length in lengths])

    assert scheduler.next_batch(8).reason == reason


def test_padded_tokens_count_not_only_the_texts_own() -> None:
    lengths = (10, 9, 9, 8)
    scheduler = make_scheduler([make_sequence(length) for length in lengths], max_batch_tokens=30)

    assert lengths_of(take(scheduler)) == [10, 9, 9]


def test_sequence_above_the_token_budget_runs_alone() -> None:
    scheduler = make_scheduler([make_sequence(500, deadline=1.0), make_sequence(499)])

    assert [lengths_of(take(scheduler)) for _ in range(2)] == [[500], [499]]


def test_beams_count_as_rows() -> None:
    sequences = [make_sequence(5, beam_size=3) for _ in range(4)]

    assert len(take(make_scheduler(sequences))) == 2


def test_wide_leader_waits_for_rows_rather_than_being_overtaken() -> None:
    leader, narrow = make_sequence(5, deadline=0.5, beam_size=6), make_sequence(5)
    scheduler = make_scheduler([leader, narrow])

    assert take(scheduler, free_rows=4) == []
    assert take(scheduler, free_rows=8) == [leader, narrow]


def test_beam_wider_than_the_engine_runs_alone_instead_of_blocking_the_queue() -> None:
    wide, narrow = make_sequence(5, deadline=0.5, beam_size=9), make_sequence(5)
    scheduler = make_scheduler([wide, narrow], max_batch_size=8)

    assert take(scheduler, free_rows=7) == []
    assert take(scheduler, free_rows=8) == [wide]
    assert take(scheduler, free_rows=8) == [narrow]


@pytest.mark.parametrize("free_rows", [0, -1])
def test_full_engine_gets_nothing(free_rows: int) -> None:
    assert take(make_scheduler([make_sequence()]), free_rows) == []


def test_empty_queue_gives_an_empty_batch() -> None:
    assert take(make_scheduler([])) == []


def test_expired_sequence_is_dropped_before_batching() -> None:
    expired, alive = make_sequence(2, deadline=10.0), make_sequence(3, deadline=10.1)
    scheduler = make_scheduler([expired, alive])

    assert scheduler.drop_expired(now=10.0) == [expired]
    assert take(scheduler) == [alive]


def test_removed_sequence_is_never_dispatched_nor_expired() -> None:
    gone, alive = make_sequence(2, deadline=1.0), make_sequence(2, deadline=2.0)
    scheduler = make_scheduler([gone, alive])
    scheduler.remove(gone)
    scheduler.remove(gone)

    assert (scheduler.num_waiting, scheduler.waiting_tokens) == (1, 2)
    assert scheduler.drop_expired(now=1.5) == []
    assert take(scheduler) == [alive]


def test_expired_sequences_are_told_in_the_order_of_their_arrival() -> None:
    sequences = [make_sequence(deadline=1.0) for _ in range(20)]

    assert make_scheduler(sequences).drop_expired(now=1.0) == sequences


def test_counts_follow_what_waits() -> None:
    scheduler = make_scheduler([make_sequence(4), make_sequence(6)], max_batch_tokens=6)
    assert (scheduler.num_waiting, scheduler.waiting_tokens) == (2, 10)

    (taken,) = take(scheduler)

    assert (scheduler.num_waiting, scheduler.waiting_tokens) == (1, 10 - taken.num_tokens)


def test_equal_lengths_beyond_the_reach_keep_their_most_urgent_in_front() -> None:
    crowd = [make_sequence(5, deadline=50.0) for _ in range(100)]
    urgent = make_sequence(5, deadline=0.5)
    scheduler = make_scheduler([*crowd, urgent])

    assert take(scheduler)[0] is urgent
    assert scheduler.num_waiting == len(crowd) + 1 - 8


def make_random_queue(rng: random.Random) -> list[TokenSequence]:
    return [
        make_sequence(
            rng.randint(1, 40),
            deadline=rng.choice([0.2, 0.5, 20.0, NEVER]),
            beam_size=rng.choice([1, 1, 1, 2, 5]),
        )
        for _ in range(rng.randint(1, 60))
    ]


def urgency_of(sequence: TokenSequence) -> float:
    return min(sequence.deadline, sequence.arrived_at + MAX_AGE_SECONDS)


@pytest.mark.parametrize("seed", range(60))
def test_any_queue_is_served_whole_within_the_budgets(seed: int) -> None:
    rng = random.Random(seed)
    waiting = make_random_queue(rng)
    scheduler = make_scheduler(waiting, max_batch_size=6, max_batch_tokens=80)
    seen: Counter[TokenSequence] = Counter()
    while left := [sequence for sequence in waiting if sequence not in seen]:
        free_rows = rng.choice([6, 6, 3, 1])
        batch = take(scheduler, free_rows)
        seen.update(batch)
        assert scheduler.num_waiting == len(waiting) - len(seen)
        if not batch:
            assert free_rows < 6
            continue
        assert urgency_of(batch[0]) == min(map(urgency_of, left))
        if len(batch) > 1:
            assert sum(sequence.num_rows for sequence in batch) <= free_rows
            assert max(lengths_of(batch)) * len(batch) <= 80
    assert set(seen.values()) == {1}
    assert scheduler.waiting_tokens == 0


def cost_of(batch: list[int]) -> float:
    return max(batch) * (PRIOR_ROWS_PER_POSITION + len(batch))


def cheapest_cost(lengths: list[int], max_rows: int) -> float:
    """By dynamic programming over all ways to cut the sorted lengths."""
    costs = [0.0]
    for end in range(1, len(lengths) + 1):
        starts = range(max(0, end - max_rows), end)
        costs.append(min(costs[start] + cost_of(lengths[start:end]) for start in starts))
    return costs[-1]


def test_cutting_the_queue_is_close_to_the_cheapest_way() -> None:
    rng, paid, least, in_order = random.Random(7), 0.0, 0.0, 0.0
    for _ in range(100):
        lengths = [min(60, max(5, int(rng.lognormvariate(2.72, 0.55)))) for _ in range(32)]
        scheduler = make_scheduler([make_sequence(length) for length in lengths], 32, 4096)
        while scheduler.num_waiting:
            paid += cost_of(lengths_of(take(scheduler, 32)))
        least += cheapest_cost(sorted(lengths), 32)
        in_order += cost_of(lengths)

    assert paid <= 1.05 * least
    assert paid <= 0.6 * in_order


def test_far_deadlines_are_forgotten_with_their_sequences() -> None:
    scheduler = make_scheduler([])
    for _ in range(50):
        scheduler.add([make_sequence(deadline=1e9) for _ in range(10)])
        while scheduler.num_waiting:
            take(scheduler)

    assert len(scheduler._by_deadline) < 100
