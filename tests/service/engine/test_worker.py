"""The engine loop alone: take, step, report. `test_batcher` has it among clients."""

import asyncio
import math
from dataclasses import dataclass, field

import pytest

from service.engine.batch import Result, TokenSequence
from service.engine.scheduling.admission import QueueLimits
from service.engine.scheduling.scheduler import Scheduler
from service.engine.waiting_queue import WaitingQueue
from service.engine.worker import GATHER_TURNS, EngineLoop, InlineWorker, Worker
from tests.fakes import FakeClock, FakeRunner, make_metrics, make_sequence


@dataclass
class FakeClient:
    """Remembers what it is told."""

    finished: list[tuple[TokenSequence, Result]] = field(default_factory=list)
    failed: list[tuple[list[TokenSequence], Exception]] = field(default_factory=list)
    steps: list[tuple[list[TokenSequence], float]] = field(default_factory=list)
    deaths: list[BaseException] = field(default_factory=list)

    def finish(self, finished: list[tuple[TokenSequence, Result]]) -> None:
        self.finished += finished

    def time_step(self, arrivals: list[TokenSequence], seconds: float) -> None:
        self.steps.append((arrivals, seconds))

    def fail(self, sequences: list[TokenSequence], error: Exception) -> None:
        self.failed.append((sequences, error))

    def on_worker_death(self, error: BaseException) -> None:
        self.deaths.append(error)


def make_engine(runner: FakeRunner) -> tuple[EngineLoop, FakeClient, FakeClock]:
    clock, client = FakeClock(), FakeClient()
    queue = WaitingQueue(
        "fake",
        Scheduler(runner.free_rows, 4096),
        QueueLimits(1000, 100_000),
        make_metrics().of_model("fake"),
        lambda expired, now: None,
    )
    return EngineLoop(runner, queue, client, clock), client, clock


def test_a_step_is_timed_and_reported() -> None:
    runner, sequence = FakeRunner(), make_sequence()
    engine, client, clock = make_engine(runner)
    runner.on_step = lambda: setattr(clock, "now", 2.5)

    engine.step([sequence])

    assert [ended for ended, _ in client.finished] == [sequence]
    assert client.steps == [([sequence], 2.5)]
    assert sequence.finished_at == 2.5


def test_a_step_is_busy_while_it_runs_alone() -> None:
    runner, seen = FakeRunner(), list[float]()
    engine, _, clock = make_engine(runner)

    def look() -> None:
        clock.now = 3.0
        seen.append(engine.busy_seconds())

    runner.on_step = look
    engine.step([make_sequence()])

    assert seen == [3.0]
    assert engine.busy_seconds() == 0.0


def test_a_failed_step_loses_all_that_ran_in_it_and_is_timed() -> None:
    runner = FakeRunner(num_steps=lambda sequence: 5)
    engine, client, _ = make_engine(runner)
    running, arriving = make_sequence(), make_sequence()
    runner.failures = [None, RuntimeError("broken")]

    engine.step([running])
    engine.step([arriving])

    ((failed, error),) = client.failed
    assert set(failed) == {running, arriving}
    assert str(error) == "broken"
    assert (runner.num_running, len(client.steps)) == (0, 2)


def test_after_a_failure_the_next_step_knows_none_of_its_sequences() -> None:
    runner = FakeRunner()
    engine, client, _ = make_engine(runner)
    runner.failures = [RuntimeError("broken"), RuntimeError("again")]

    engine.step([make_sequence()])
    engine.step([second := make_sequence()])

    assert client.failed[1][0] == [second]


def test_a_runner_that_cannot_be_reset_is_the_death_of_the_worker() -> None:
    runner = FakeRunner()
    engine, client, _ = make_engine(runner)
    runner.failures, runner.reset_failure = [RuntimeError("broken")], RuntimeError("beyond repair")

    engine.run_once([make_sequence()])

    assert [str(death) for death in client.deaths] == ["beyond repair"]
    assert client.failed == []


def test_what_a_batch_takes_is_learnt_only_if_it_was_measured() -> None:
    runner = FakeRunner()
    engine, _, _ = make_engine(runner)
    learnt: list[tuple[int, int, float]] = []
    engine.queue.learn_cost = lambda *cost: learnt.append(cost)  # type: ignore[method-assign]

    engine.step([make_sequence(3)])
    runner.batch_seconds = 0.25
    engine.step([make_sequence(3), make_sequence(7)])

    assert learnt == [(2, 7, 0.25)]


def test_a_worker_ends_when_its_queue_closes() -> None:
    runner, sequence = FakeRunner(), make_sequence()
    engine, client, _ = make_engine(runner)
    worker = Worker("a worker", engine)
    engine.queue.add([sequence], 0.0)

    worker.start()
    assert runner.entered.wait(10.0)
    engine.queue.close()
    worker._thread.join(10.0)

    assert not worker.is_alive
    assert [ended for ended, _ in client.finished] == [sequence]
    assert client.deaths == []


async def test_an_inline_step_waits_for_the_turns_in_which_others_come() -> None:
    runner = FakeRunner()
    engine, client, _ = make_engine(runner)
    inline, loop = InlineWorker(engine), asyncio.get_running_loop()
    num_done = []
    for _ in range(GATHER_TURNS + 2):
        engine.queue.add([make_sequence()], 0.0)
        inline.schedule(loop)
        num_done.append(len(client.finished))
        await asyncio.sleep(0)

    assert num_done == [0] * (GATHER_TURNS + 1) + [GATHER_TURNS + 1]


@pytest.mark.parametrize(("seconds", "num_done"), [(0.001, 1), (10.0, 0)])
async def test_a_long_step_is_not_run_inline(seconds: float, num_done: int) -> None:
    engine, client, _ = make_engine(FakeRunner())
    inline, loop = InlineWorker(engine), asyncio.get_running_loop()
    inline.observe([make_sequence()], seconds, on_loop=True)

    engine.queue.add([sequence := make_sequence()], 0.0)
    inline.schedule(loop)
    for _ in range(GATHER_TURNS + 2):
        await asyncio.sleep(0)

    assert len(client.finished) == num_done
    assert (sequence.dispatched_at < math.inf) == bool(num_done)
