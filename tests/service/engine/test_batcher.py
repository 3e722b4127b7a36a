import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from service.engine.batch import Result, TokenSequence
from service.engine.batcher import Batcher
from service.engine.scheduling.admission import QueueLimits
from service.engine.scheduling.scheduler import Scheduler
from service.errors import (
    DeadlineExceeded,
    InferenceFailed,
    InputTooLong,
    ModelNotReady,
    Overloaded,
    ServingError,
)
from service.telemetry.metrics import Metrics
from tests.fakes import FakeClock, FakeRunner, make_metrics, make_sequence, read_metric, sum_ids

NAME = "fake"


@dataclass
class Stand:
    """A batcher with all that it stands on."""

    batcher: Batcher
    runner: FakeRunner
    scheduler: Scheduler
    metrics: Metrics
    clock: FakeClock


@asynccontextmanager
async def run_batcher(
    runner: FakeRunner | None = None,
    limits: QueueLimits | None = None,
    max_batch_tokens: int = 4096,
    drain_seconds: float = 10.0,
    inline_runner: FakeRunner | None = None,
) -> AsyncIterator[Stand]:
    """A running batcher; its clock stands at 0, which is a time like any other."""
    runner = runner or FakeRunner()
    scheduler = Scheduler(runner.free_rows, max_batch_tokens)
    metrics, clock = make_metrics(), FakeClock()
    limits = limits or QueueLimits(max_sequences=10_000, max_tokens=1_000_000)
    batcher = Batcher(NAME, [runner], scheduler, limits, metrics, clock, inline_runner)
    batcher.start()
    try:
        yield Stand(batcher, runner, scheduler, metrics, clock)
    finally:
        runner.gate.set()
        await batcher.stop(drain_seconds)


async def wait_for_step(runner: FakeRunner) -> None:
    """Until the engine thread is inside a step."""
    assert await asyncio.to_thread(runner.entered.wait, 10.0)


def endless_if(endless: TokenSequence) -> Callable[[TokenSequence], int]:
    """Steps of a sequence; one of them never ends by itself."""
    return lambda sequence: 10**9 if sequence is endless else 1


async def settle() -> None:
    """Lets callbacks and the batcher's loop go as far as they can without the engine."""
    for _ in range(20):
        await asyncio.sleep(0)


def is_own_answer(sequence: TokenSequence, result: object) -> bool:
    return np.array_equal(np.asarray(result), np.asarray(sum_ids(sequence)))


async def test_idle_engine_starts_at_once() -> None:
    async with run_batcher() as stand:
        stand.runner.gate.clear()
        stand.batcher.submit([make_sequence()])

        await asyncio.wait_for(wait_for_step(stand.runner), timeout=1.0)

        assert stand.scheduler.num_waiting == 0


async def test_each_sequence_gets_its_own_answer() -> None:
    sequences = [make_sequence(length) for length in (3, 1, 7)]
    async with run_batcher() as stand:
        results = await asyncio.gather(*stand.batcher.submit(sequences))

    assert all(map(is_own_answer, sequences, results))


async def test_arrivals_during_a_step_form_the_next_batch() -> None:
    first, later = make_sequence(), [make_sequence(), make_sequence(), make_sequence()]
    async with run_batcher() as stand:
        stand.runner.gate.clear()
        futures = stand.batcher.submit([first])
        await wait_for_step(stand.runner)
        for sequence in later:
            futures += stand.batcher.submit([sequence])
        stand.runner.gate.set()
        await asyncio.gather(*futures)

    assert stand.runner.batches == [[first], later]


async def test_arrivals_join_sequences_that_are_running() -> None:
    endless, short = make_sequence(5), make_sequence(1)
    async with run_batcher(FakeRunner(num_steps=endless_if(endless))) as stand:
        stand.runner.gate.clear()
        (running,) = stand.batcher.submit([endless])
        await wait_for_step(stand.runner)
        (joining,) = stand.batcher.submit([short])
        stand.runner.gate.set()
        await asyncio.wait_for(joining, timeout=5.0)

        assert not running.done()
        running.cancel()


async def test_times_are_noted_at_dispatch_and_end() -> None:
    sequence = make_sequence()
    async with run_batcher() as stand:
        stand.clock.now = 7.0
        stand.runner.gate.clear()
        (future,) = stand.batcher.submit([sequence])
        await wait_for_step(stand.runner)
        stand.clock.now = 9.5
        stand.runner.gate.set()
        await future

    assert (sequence.dispatched_at, sequence.finished_at) == (7.0, 9.5)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(QueueLimits(3, 1000), "requests"), (QueueLimits(100, 7), "tokens")],
    ids=["requests", "tokens"],
)
async def test_full_queue_refuses_at_once_and_counts_it(limits: QueueLimits, reason: str) -> None:
    async with run_batcher(limits=limits) as stand:
        stand.runner.gate.clear()
        stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        stand.batcher.submit([make_sequence(2), make_sequence(2)])

        with pytest.raises(Overloaded, match=f"{reason}.*limit of .*retry later"):
            stand.batcher.submit([make_sequence(2), make_sequence(2)])

    assert read_metric(stand.metrics, "shed_total", model=NAME, reason=reason) == 1


async def test_sequences_are_admitted_together_or_not_at_all() -> None:
    async with run_batcher(limits=QueueLimits(3, 1000)) as stand:
        stand.runner.gate.clear()
        stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        stand.batcher.submit([make_sequence(), make_sequence()])
        with pytest.raises(Overloaded):
            stand.batcher.submit([make_sequence(), make_sequence()])

        assert stand.scheduler.num_waiting == 2


async def test_sequence_larger_than_the_queue_is_not_told_to_retry() -> None:
    async with run_batcher(limits=QueueLimits(2, 1000)) as stand:
        with pytest.raises(InputTooLong, match=r"3 requests.*limit of 2.*send less"):
            stand.batcher.submit([make_sequence() for _ in range(3)])


async def test_cancelled_sequences_make_room_while_the_engine_is_busy() -> None:
    async with run_batcher(limits=QueueLimits(2, 1000)) as stand:
        stand.runner.gate.clear()
        stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        for future in stand.batcher.submit([make_sequence(), make_sequence()]):
            future.cancel()
        await settle()

        stand.batcher.submit([make_sequence(), make_sequence()])

        assert stand.scheduler.num_waiting == 2


async def test_queue_length_is_measured() -> None:
    async with run_batcher() as stand:
        stand.runner.gate.clear()
        stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        futures = stand.batcher.submit([make_sequence(), make_sequence()])
        assert read_metric(stand.metrics, "queue_requests", model=NAME) == 2
        stand.runner.gate.set()
        await asyncio.gather(*futures)

    assert read_metric(stand.metrics, "queue_requests", model=NAME) == 0
    assert read_metric(stand.metrics, "batch_rows_sum", model=NAME) == 3


async def test_cancelled_batch_mate_leaves_its_neighbours_answered() -> None:
    sequences = [make_sequence() for _ in range(4)]
    async with run_batcher() as stand:
        stand.runner.gate.clear()
        futures = stand.batcher.submit(sequences)
        await wait_for_step(stand.runner)
        futures[1].cancel()
        await settle()
        stand.runner.gate.set()
        results = await asyncio.gather(*futures, return_exceptions=True)

    were_cancelled = [isinstance(result, asyncio.CancelledError) for result in results]
    assert were_cancelled == [False, True, False, False]


async def test_cancelled_waiting_sequence_never_reaches_the_engine() -> None:
    cancelled = make_sequence()
    async with run_batcher() as stand:
        stand.runner.gate.clear()
        (running,) = stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        (future,) = stand.batcher.submit([cancelled])
        future.cancel()
        await settle()
        stand.runner.gate.set()
        await running

    assert cancelled not in [sequence for batch in stand.runner.batches for sequence in batch]


async def test_cancelled_running_sequence_frees_its_rows() -> None:
    endless = make_sequence(beam_size=8)
    runner = FakeRunner(num_steps=endless_if(endless))
    async with run_batcher(runner) as stand:
        (future,) = stand.batcher.submit([endless])
        await wait_for_step(runner)
        (waiting,) = stand.batcher.submit([make_sequence()])
        future.cancel()

        await asyncio.wait_for(waiting, timeout=5.0)

    assert runner.num_running == 0


async def test_failing_step_fails_exactly_those_in_it() -> None:
    async with run_batcher() as stand:
        stand.runner.failures = [InferenceFailed("out of memory")]
        stand.runner.gate.clear()
        doomed = stand.batcher.submit([make_sequence(), make_sequence()])
        await wait_for_step(stand.runner)
        waiting = stand.batcher.submit([make_sequence(), make_sequence()])
        stand.runner.gate.set()
        results = await asyncio.gather(*doomed, *waiting, return_exceptions=True)

    assert [type(result) for result in results[:2]] == [InferenceFailed, InferenceFailed]
    assert not any(isinstance(result, Exception) for result in results[2:])


async def test_failing_step_fails_all_sequences_that_run_in_it() -> None:
    long = make_sequence(3)
    async with run_batcher(FakeRunner(num_steps=lambda sequence: sequence.num_tokens)) as stand:
        stand.runner.failures = [None, InferenceFailed("lost")]
        (future,) = stand.batcher.submit([long])

        with pytest.raises(InferenceFailed, match="engine failed"):
            await future
        (healthy,) = stand.batcher.submit([make_sequence(2)])
        await healthy


async def test_foreign_error_is_logged_and_not_shown_to_the_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with run_batcher() as stand:
        stand.runner.failures = [KeyError("secret detail")]
        (future,) = stand.batcher.submit([make_sequence()])

        with pytest.raises(InferenceFailed, match="log says why"):
            await future

    assert "secret detail" in caplog.text


async def test_expired_sequence_is_told_so_and_never_runs() -> None:
    expired, alive = make_sequence(deadline=5.0), make_sequence(deadline=50.0)
    async with run_batcher() as stand:
        stand.runner.gate.clear()
        stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        futures = stand.batcher.submit([expired, alive])
        stand.clock.now = 5.0
        stand.runner.gate.set()

        with pytest.raises(DeadlineExceeded, match=r"after 5.000 s in the queue"):
            await futures[0]
        await futures[1]

    assert stand.runner.batches[1:] == [[alive]]


async def test_queue_that_expired_is_measured_as_empty() -> None:
    async with run_batcher() as stand:
        stand.runner.gate.clear()
        (first,) = stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        (expired,) = stand.batcher.submit([make_sequence(deadline=5.0)])
        stand.clock.now = 5.0
        stand.runner.gate.set()
        await first
        with pytest.raises(DeadlineExceeded):
            await expired

        assert read_metric(stand.metrics, "queue_requests", model=NAME) == 0
        assert read_metric(stand.metrics, "queue_tokens", model=NAME) == 0


async def test_stop_drains_what_was_admitted() -> None:
    async with run_batcher(FakeRunner(max_rows=2)) as stand:
        futures = stand.batcher.submit([make_sequence() for _ in range(10)])
        await stand.batcher.stop(drain_seconds=10.0)

        assert all(future.done() and future.exception() is None for future in futures)


async def test_stopping_batcher_refuses_new_sequences() -> None:
    async with run_batcher() as stand:
        await stand.batcher.stop(drain_seconds=1.0)

        with pytest.raises(ModelNotReady, match="retry elsewhere"):
            stand.batcher.submit([make_sequence()])


async def test_stop_fails_what_outlasts_the_drain() -> None:
    async with run_batcher() as stand:
        stand.runner.gate.clear()
        futures = stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        futures += stand.batcher.submit([make_sequence()])
        await stand.batcher.stop(drain_seconds=0.01)

        results = await asyncio.gather(*futures, return_exceptions=True)

    assert [type(result) for result in results] == [ModelNotReady, ModelNotReady]


async def test_idle_and_busy_batcher_have_no_fault() -> None:
    async with run_batcher() as stand:
        assert stand.batcher.fault(30.0) is None
        stand.runner.gate.clear()
        stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        stand.clock.now = 29.0

        assert stand.batcher.fault(30.0) is None


async def test_stuck_step_is_a_fault_until_it_ends() -> None:
    async with run_batcher() as stand:
        stand.runner.gate.clear()
        (future,) = stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        stand.clock.now = 31.0
        assert "not answered for 31 s" in (stand.batcher.fault(30.0) or "")
        stand.runner.gate.set()
        await future

        assert stand.batcher.fault(30.0) is None


async def test_batcher_that_never_started_is_a_fault_and_refuses() -> None:
    runner = FakeRunner()
    batcher = Batcher(NAME, [runner], Scheduler(8, 100), QueueLimits(9, 99), make_metrics())

    assert "not running" in (batcher.fault(30.0) or "")
    with pytest.raises(ModelNotReady):
        batcher.submit([make_sequence()])


async def test_dead_worker_is_a_fault_and_fails_every_future(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with run_batcher() as stand:
        stand.runner.failures = [InferenceFailed("broken")]
        stand.runner.reset_failure = RuntimeError("cannot even reset")
        stand.runner.gate.clear()
        futures = stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        futures += stand.batcher.submit([make_sequence()])
        stand.runner.gate.set()
        async with asyncio.timeout(5.0):
            results = await asyncio.gather(*futures, return_exceptions=True)

        assert {type(result) for result in results} == {ModelNotReady}
        assert "not running" in (stand.batcher.fault(30.0) or "")
        with pytest.raises(ModelNotReady):
            stand.batcher.submit([make_sequence()])
    assert "cannot even reset" in caplog.text


async def test_beam_wider_than_the_engine_does_not_block_the_others() -> None:
    async with run_batcher(FakeRunner(max_rows=2)) as stand:
        futures = stand.batcher.submit([make_sequence(deadline=1.0, beam_size=3), make_sequence()])

        await asyncio.wait_for(asyncio.gather(*futures), timeout=5.0)


@dataclass
class Tally:
    """How the sequences of a storm ended."""

    answered: int = 0
    cancelled: int = 0
    refused: int = 0
    failed: int = 0
    expired: int = 0

    @property
    def total(self) -> int:
        return self.answered + self.cancelled + self.refused + self.failed + self.expired


async def send_sequence(stand: Stand, rng: random.Random, tally: Tally) -> None:
    """One client: may hang up at any time, may be refused."""
    await asyncio.sleep(rng.random() * 0.3)
    deadline = stand.clock.now + rng.choice([0.5, 100.0, 100.0, 100.0])
    sequence = make_sequence(rng.randint(1, 30), deadline, beam_size=rng.choice([1, 1, 1, 4]))
    try:
        (future,) = stand.batcher.submit([sequence])
    except Overloaded:
        tally.refused += 1
        return
    if rng.random() < 0.2:
        # some hang up before the engine can know of them, the others at any time
        delay = rng.choice([0.0, rng.random() * 0.02])
        asyncio.get_running_loop().call_later(delay, future.cancel)
    try:
        result = await future
    except asyncio.CancelledError:
        tally.cancelled += 1
    except DeadlineExceeded:
        tally.expired += 1
    except InferenceFailed:
        tally.failed += 1
    else:
        assert is_own_answer(sequence, result)
        tally.answered += 1


async def move_clock(clock: FakeClock) -> None:
    while True:
        await asyncio.sleep(0.001)
        clock.now += 0.05


@pytest.mark.parametrize("seed", range(3))
async def test_storm_of_cancels_and_failures_ends_every_future_and_leaks_nothing(
    seed: int,
) -> None:
    rng, num_sequences, tally = random.Random(seed), 1500, Tally()
    runner = FakeRunner(num_steps=lambda sequence: sequence.num_tokens % 7, max_rows=16)
    runner.failures = [
        InferenceFailed("at random") if rng.random() < 0.05 else None for _ in range(50_000)
    ]
    async with run_batcher(runner, QueueLimits(200, 2000), max_batch_tokens=200) as stand:
        mover = asyncio.create_task(move_clock(stand.clock))
        async with asyncio.timeout(20.0):
            await asyncio.gather(*(send_sequence(stand, rng, tally) for _ in range(num_sequences)))
        mover.cancel()
        await finish_steps(stand)

        assert tally.total == num_sequences
        assert min(tally.answered, tally.cancelled, tally.failed) > 0
        assert stand.batcher.num_pending == 0
        assert (stand.scheduler.num_waiting, runner.num_running) == (0, 0)
        assert stand.batcher.fault(30.0) is None


async def finish_steps(stand: Stand) -> None:
    """Waits until a last sequence has gone through, and with it all that was abandoned."""
    while True:
        try:
            await stand.batcher.submit([make_sequence(7, deadline=float("inf"))])[0]
        except ServingError:
            continue
        return await settle()


async def test_two_workers_run_side_by_side() -> None:
    first, second = FakeRunner(max_rows=1), FakeRunner(max_rows=1)
    batcher = Batcher(
        NAME, [first, second], Scheduler(1, 100), QueueLimits(9, 99), make_metrics(), FakeClock()
    )
    batcher.start()
    for runner in (first, second):
        runner.gate.clear()
    futures = batcher.submit([make_sequence(), make_sequence()])
    await asyncio.gather(wait_for_step(first), wait_for_step(second))
    for runner in (first, second):
        runner.gate.set()
    await asyncio.gather(*futures)
    await batcher.stop(drain_seconds=1.0)

    assert [len(first.batches), len(second.batches)] == [1, 1]


async def test_slow_queue_refuses_with_the_time_it_needs() -> None:
    sequences = [make_sequence(10) for _ in range(40)]
    clock = FakeClock()

    def answer_in_a_tenth(sequence: TokenSequence) -> Result:
        clock.now += 0.1
        return sum_ids(sequence)

    runner = FakeRunner(answer_in_a_tenth, endless_if(sequences[10]), max_rows=1)
    limits, metrics = QueueLimits(1000, 10_000, max_wait_seconds=2.0), make_metrics()
    batcher = Batcher(NAME, [runner], Scheduler(1, 100), limits, metrics, clock)
    batcher.start()
    futures = batcher.submit(sequences)
    await asyncio.gather(*futures[:10])

    with pytest.raises(Overloaded, match=r"predicted to be .* s, above the limit of 2 s") as raised:
        batcher.submit([make_sequence(10)])
    with pytest.raises(Overloaded):
        batcher.forecast().admit()
    await batcher.stop(drain_seconds=0.0)
    await asyncio.gather(*futures, return_exceptions=True)

    assert raised.value.retry_after_seconds == pytest.approx(2.9, rel=0.1)
    assert read_metric(metrics, "shed_total", model=NAME, reason="wait") == 2


async def test_queue_that_all_clients_left_is_not_taken_for_slow() -> None:
    sequences = [make_sequence(10) for _ in range(20)]
    clock = FakeClock()
    runner = FakeRunner(num_steps=endless_if(sequences[0]), max_rows=1)
    batcher = Batcher(
        NAME, [runner], Scheduler(1, 100), QueueLimits(99, 999), make_metrics(), clock
    )
    batcher.start()
    for future in batcher.submit(sequences):
        future.cancel()
    await settle()
    clock.now = 100.0
    futures = batcher.submit([make_sequence(10) for _ in range(20)])
    await asyncio.gather(*futures)

    assert batcher.forecast().wait_seconds == 0.0
    await batcher.stop(drain_seconds=1.0)


async def test_short_step_runs_on_the_event_loop() -> None:
    here = threading.get_ident()
    ran_on: list[int] = []

    def answer(sequence: TokenSequence) -> Result:
        ran_on.append(threading.get_ident())
        return sum_ids(sequence)

    runner = FakeRunner(answer)
    sequences = [make_sequence(length) for length in (3, 3, 4)]
    async with run_batcher(inline_runner=runner) as stand:
        futures = [stand.batcher.submit([sequence])[0] for sequence in sequences]
        assert runner.batches == []  # all that come in one turn of the loop are waited for
        results = await asyncio.gather(*futures)

    assert all(map(is_own_answer, sequences, results))
    assert runner.batches == [sequences]
    assert set(ran_on) == {here}
    assert stand.runner.batches == []


async def test_requests_that_come_two_turns_later_join_the_step_that_is_due() -> None:
    runner = FakeRunner()
    sequences = [make_sequence() for _ in range(3)]
    async with run_batcher(inline_runner=runner) as stand:
        futures = []
        for sequence in sequences:
            futures += stand.batcher.submit([sequence])
            await asyncio.sleep(0)
        await asyncio.gather(*futures)

    assert runner.batches == [sequences]


async def test_step_that_is_not_short_is_left_to_a_worker() -> None:
    own = FakeRunner()
    first, second = make_sequence(), make_sequence()
    async with run_batcher(inline_runner=own) as stand:
        own.on_step = lambda: setattr(stand.clock, "now", stand.clock.now + 1.0)
        await asyncio.gather(*stand.batcher.submit([first]))  # it takes a second
        (result,) = await asyncio.gather(*stand.batcher.submit([second]))

    assert is_own_answer(second, result)
    assert (own.batches, stand.runner.batches) == ([[first]], [[second]])
    assert read_metric(stand.metrics, "batch_rows_count", model=NAME) == 2


async def test_inline_steps_come_back_when_the_engine_is_quick_again() -> None:
    own = FakeRunner()
    async with run_batcher(inline_runner=own) as stand:

        def spend(seconds: float) -> Callable[[], None]:
            return lambda: setattr(stand.clock, "now", stand.clock.now + seconds)

        own.on_step, stand.runner.on_step = spend(1.0), spend(0.001)
        for _ in range(100):
            await asyncio.gather(*stand.batcher.submit([make_sequence()]))
            own.on_step = spend(0.001)

    assert len(own.batches) > 1
    assert stand.runner.batches


async def test_deadline_takes_a_sequence_out_of_the_engine() -> None:
    async with run_batcher() as stand:
        stand.runner.gate.clear()
        sequence = make_sequence()
        (future,) = stand.batcher.submit([sequence])
        await asyncio.to_thread(stand.runner.entered.wait)
        future.set_exception(DeadlineExceeded("too late"))
        await asyncio.sleep(0)
        assert sequence.is_abandoned
        stand.runner.gate.set()


async def test_inline_steps_go_on_until_the_queue_is_empty() -> None:
    sequences = [make_sequence(1) for _ in range(20)]
    own = FakeRunner(max_rows=8)
    async with run_batcher(inline_runner=own) as stand:
        await asyncio.gather(*stand.batcher.submit(sequences))

    assert [len(batch) for batch in own.batches] == [8, 8, 4]
    assert stand.runner.batches == []


async def test_failing_step_on_the_event_loop_fails_its_sequences_alone() -> None:
    own = FakeRunner()
    own.failures = [RuntimeError("broken")]
    async with run_batcher(inline_runner=own) as stand:
        (failed,) = stand.batcher.submit([make_sequence()])
        with pytest.raises(InferenceFailed):
            await failed
        sequence = make_sequence()
        (result,) = await asyncio.gather(*stand.batcher.submit([sequence]))

    assert is_own_answer(sequence, result)


async def test_runner_that_cannot_be_reset_on_the_event_loop_fails_all() -> None:
    own = FakeRunner()
    own.failures, own.reset_failure = [RuntimeError("broken")], RuntimeError("beyond repair")
    async with run_batcher(inline_runner=own) as stand:
        (future,) = stand.batcher.submit([make_sequence()])
        with pytest.raises(ModelNotReady):
            await future
        assert stand.batcher.fault(30.0) is not None


async def test_cancelled_sequence_does_not_hurt_those_of_its_turn() -> None:
    leaving, staying = make_sequence(), make_sequence()
    async with run_batcher(inline_runner=FakeRunner()) as stand:
        (cancelled,) = stand.batcher.submit([leaving])
        (future,) = stand.batcher.submit([staying])
        cancelled.cancel()
        assert is_own_answer(staying, await future)
    assert cancelled.cancelled()
