import random

import pytest

from service.batch import Request
from service.scheduler import Scheduler
from tests.fakes import NEVER, make_request


def make_scheduler(
    requests: list[Request], max_batch_size: int = 8, max_batch_tokens: int = 100
) -> Scheduler:
    scheduler = Scheduler(max_batch_size, max_batch_tokens)
    scheduler.add(requests)
    return scheduler


def lengths_of(batch: list[Request]) -> list[int]:
    return [request.num_tokens for request in batch]


def test_earliest_deadline_leads() -> None:
    late, urgent = make_request(9, deadline=50.0), make_request(3, deadline=10.0)
    scheduler = make_scheduler([late, urgent], max_batch_tokens=9)

    assert [scheduler.next_batch(8), scheduler.next_batch(8)] == [[urgent], [late]]


def test_first_come_leads_among_equal_deadlines() -> None:
    first, second = make_request(9, deadline=5.0), make_request(2, deadline=5.0)

    assert make_scheduler([first, second], max_batch_tokens=9).next_batch(8) == [first]


def test_neighbours_in_length_fill_the_batch() -> None:
    leader = make_request(10, deadline=1.0)
    others = [make_request(length) for length in (1, 50, 11, 30, 9)]

    batch = make_scheduler([*others, leader], max_batch_size=3).next_batch(3)

    assert batch[0] is leader
    assert sorted(lengths_of(batch)) == [9, 10, 11]


def test_padded_tokens_count_not_only_the_texts_own() -> None:
    scheduler = make_scheduler([make_request(length) for length in (10, 9, 9, 8)])

    assert len(make_scheduler([make_request(10)] * 1, max_batch_tokens=30).next_batch(8)) == 1
    scheduler.max_batch_tokens = 30
    assert lengths_of(scheduler.next_batch(8)) == [10, 9, 9]


def test_too_long_a_neighbour_does_not_keep_a_shorter_one_out() -> None:
    leader = make_request(10, deadline=1.0)
    scheduler = make_scheduler([leader, make_request(13), make_request(5)], max_batch_tokens=24)

    assert lengths_of(scheduler.next_batch(8)) == [10, 5]


def test_request_above_the_token_budget_runs_alone() -> None:
    scheduler = make_scheduler([make_request(500, deadline=1.0), make_request(499)])

    assert [lengths_of(scheduler.next_batch(8)) for _ in range(2)] == [[500], [499]]


def test_beams_count_as_rows() -> None:
    requests = [make_request(5, beam_size=3) for _ in range(4)]

    assert len(make_scheduler(requests).next_batch(free_rows=8)) == 2


def test_wide_leader_waits_for_rows_rather_than_being_overtaken() -> None:
    leader, narrow = make_request(5, deadline=1.0, beam_size=6), make_request(5)
    scheduler = make_scheduler([leader, narrow])

    assert scheduler.next_batch(free_rows=4) == []
    assert scheduler.next_batch(free_rows=8) == [leader, narrow]


def test_beam_wider_than_the_engine_runs_alone_instead_of_blocking_the_queue() -> None:
    wide, narrow = make_request(5, deadline=1.0, beam_size=9), make_request(5)
    scheduler = make_scheduler([wide, narrow], max_batch_size=8)

    assert scheduler.next_batch(free_rows=7) == []
    assert scheduler.next_batch(free_rows=8) == [wide]
    assert scheduler.next_batch(free_rows=8) == [narrow]


@pytest.mark.parametrize("free_rows", [0, -1])
def test_full_engine_gets_nothing(free_rows: int) -> None:
    assert make_scheduler([make_request()]).next_batch(free_rows) == []


def test_empty_queue_gives_an_empty_batch() -> None:
    assert make_scheduler([]).next_batch(8) == []


def test_expired_request_is_dropped_before_batching() -> None:
    expired, alive = make_request(2, deadline=10.0), make_request(3, deadline=10.1)
    scheduler = make_scheduler([expired, alive])

    assert scheduler.drop_dead(now=10.0) == [expired]
    assert scheduler.next_batch(8) == [alive]


def test_abandoned_request_is_dropped_without_an_answer() -> None:
    abandoned = make_request(2, deadline=1.0)
    scheduler = make_scheduler([abandoned])
    abandoned.is_abandoned = True

    assert scheduler.drop_dead(now=2.0) == []
    assert (scheduler.num_waiting, scheduler.waiting_tokens) == (0, 0)


def test_expired_requests_are_told_in_the_order_of_their_arrival() -> None:
    requests = [make_request(deadline=1.0) for _ in range(20)]

    assert make_scheduler(requests).drop_dead(now=1.0) == requests


def test_counts_follow_what_waits() -> None:
    scheduler = make_scheduler([make_request(4), make_request(6)], max_batch_tokens=6)
    assert (scheduler.num_waiting, scheduler.waiting_tokens) == (2, 10)

    (taken,) = scheduler.next_batch(8)

    assert (scheduler.num_waiting, scheduler.waiting_tokens) == (1, 10 - taken.num_tokens)


def make_random_queue(rng: random.Random) -> list[Request]:
    return [
        make_request(
            rng.randint(1, 40),
            deadline=rng.choice([5.0, 10.0, 20.0, NEVER]),
            beam_size=rng.choice([1, 1, 1, 2, 5]),
        )
        for _ in range(rng.randint(1, 60))
    ]


def check_batch(batch: list[Request], left: list[Request], limits: tuple[int, int, int]) -> None:
    """Within all budgets, led by the most urgent, and nothing that waits would have fitted."""
    free_rows, max_batch_size, max_batch_tokens = limits
    assert batch[0].deadline == min(request.deadline for request in [*batch, *left])
    rows, longest = sum(request.num_rows for request in batch), max(lengths_of(batch))
    if len(batch) > 1:
        assert rows <= free_rows
        assert longest * len(batch) <= max_batch_tokens
    else:
        assert rows <= free_rows or free_rows >= max_batch_size
    for request in left:
        fits_rows = rows + request.num_rows <= free_rows
        width = max(longest, request.num_tokens)
        assert not (fits_rows and width * (len(batch) + 1) <= max_batch_tokens)


@pytest.mark.parametrize("seed", range(60))
def test_any_queue_is_served_whole_within_the_budgets(seed: int) -> None:
    rng = random.Random(seed)
    max_batch_size, max_batch_tokens = rng.randint(1, 12), rng.randint(16, 120)
    waiting = make_random_queue(rng)
    scheduler = make_scheduler(list(waiting), max_batch_size, max_batch_tokens)
    num_idle = 0
    while waiting:
        free_rows = max_batch_size if num_idle else rng.randint(0, max_batch_size)
        batch = scheduler.next_batch(free_rows)
        num_idle = 0 if batch else num_idle + 1
        assert num_idle < 2, "an empty engine must always get work"
        waiting = [request for request in waiting if request not in batch]
        assert scheduler.num_waiting == len(waiting)
        assert scheduler.waiting_tokens == sum(lengths_of(waiting))
        if batch:
            check_batch(batch, waiting, (free_rows, max_batch_size, max_batch_tokens))
