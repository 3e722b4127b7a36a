import random
import threading

import pytest

from service.engine.batch import TokenSequence
from service.engine.scheduling.admission import QueueLimits
from service.engine.scheduling.scheduler import Scheduler
from service.engine.scheduling.step_cost import FIT_INTERVAL
from service.engine.waiting_queue import QueueClosed, WaitingQueue
from service.errors import Overloaded
from service.telemetry.metrics import Metrics
from tests.fakes import FakeClock, FakeRunner, make_metrics, make_sequence, read_metric

NAME = "fake"


class Expired:
    """Remembers what a queue dropped."""

    def __init__(self) -> None:
        self.sequences: list[TokenSequence] = []

    def __call__(self, sequences: list[TokenSequence], now: float) -> None:
        self.sequences += sequences


def make_queue(
    limits: QueueLimits | None = None,
    expired: Expired | None = None,
    metrics: Metrics | None = None,
    *,
    max_batch_size: int = 8,
    wakes_workers: bool = True,
) -> WaitingQueue:
    return WaitingQueue(
        NAME,
        Scheduler(max_batch_size, 4096),
        limits or QueueLimits(100, 10_000),
        (metrics or make_metrics()).of_model(NAME),
        expired or Expired(),
        wakes_workers=wakes_workers,
    )


def test_a_batch_is_noted_where_it_is_taken() -> None:
    metrics = make_metrics()
    queue = make_queue(metrics=metrics)
    sequences = [make_sequence(3), make_sequence(3)]
    queue.add(sequences, now=1.0)

    assert queue.wait_for_batch(FakeRunner(), FakeClock(2.0)) == sequences
    assert [sequence.dispatched_at for sequence in sequences] == [2.0, 2.0]
    assert read_metric(metrics, "batch_rows_sum", model=NAME) == 2


def test_a_runner_with_sequences_of_its_own_is_not_kept_waiting() -> None:
    runner = FakeRunner(num_steps=lambda sequence: 9)
    runner.step([make_sequence()])

    assert make_queue().wait_for_batch(runner, FakeClock()) == []


def test_waiting_ends_when_the_queue_is_closed() -> None:
    queue, ended = make_queue(), threading.Event()

    def wait() -> None:
        with pytest.raises(QueueClosed):
            queue.wait_for_batch(FakeRunner(), FakeClock())
        ended.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    queue.close()

    assert ended.wait(10.0)


def test_expired_sequences_make_room_before_a_new_one_is_refused() -> None:
    expired = Expired()
    queue = make_queue(QueueLimits(1, 100), expired)
    old, new = make_sequence(deadline=5.0), make_sequence(deadline=50.0)
    queue.add([old], now=1.0)
    queue.add([new], now=6.0)

    assert expired.sequences == [old]
    assert queue.num_waiting == 1


def test_a_refusal_is_counted_and_changes_nothing() -> None:
    metrics = make_metrics()
    queue = make_queue(QueueLimits(1, 100), metrics=metrics)
    queue.add([make_sequence()], now=0.0)
    with pytest.raises(Overloaded):
        queue.add([make_sequence()], now=0.0)

    assert queue.num_waiting == 1
    assert read_metric(metrics, "shed_total", model=NAME, reason="requests") == 1


def test_a_batch_that_is_not_wanted_is_left_for_a_worker() -> None:
    queue = make_queue(wakes_workers=False)
    sequence = make_sequence()
    queue.add([sequence], now=0.0)

    assert queue.take_if(lambda batch: False, 8, now=0.0) == []
    assert queue.wait_for_batch(FakeRunner(), FakeClock()) == [sequence]


def test_a_batch_that_is_wanted_is_taken_at_once() -> None:
    queue = make_queue(wakes_workers=False)
    sequence = make_sequence()
    queue.add([sequence], now=0.0)

    assert queue.take_if(lambda batch: True, 8, now=0.0) == [sequence]
    assert queue.num_waiting == 0


def show_cost(queue: WaitingQueue, rows_per_position: float) -> None:
    """Shows a queue batches of a model whose positions cost as much as some rows."""
    rng = random.Random(1)
    for _ in range(20 * FIT_INTERVAL):
        num_rows, length = rng.randint(1, 16), rng.randint(2, 60)
        queue.learn_cost(num_rows, length, length * (rows_per_position + num_rows) * 1e-5)


def test_cost_is_learnt_while_the_queue_is_in_use() -> None:
    queue = make_queue(wakes_workers=False)
    sequence = make_sequence()
    queue.add([sequence], now=0.0)

    def learn_elsewhere(batch: list[TokenSequence]) -> bool:
        """Called with the lock of the queue held."""
        thread = threading.Thread(target=show_cost, args=(queue, 2.0), daemon=True)
        thread.start()
        thread.join(10)
        return not thread.is_alive()

    assert queue.take_if(learn_elsewhere, 8, now=0.0) == [sequence]


def batch_lengths(queue: WaitingQueue, lengths: range) -> list[list[int]]:
    queue.add([make_sequence(length) for length in lengths], now=0.0)
    batches = []
    while queue.num_waiting:
        batch = queue.wait_for_batch(FakeRunner(max_rows=64), FakeClock())
        batches.append(sorted(sequence.num_tokens for sequence in batch))
    return batches


def test_models_of_different_cost_get_batches_of_their_own() -> None:
    cheap, dear = make_queue(max_batch_size=64), make_queue(max_batch_size=64)
    show_cost(cheap, 0.5)
    show_cost(dear, 12.0)
    lengths = range(10, 40)
    from_cheap, from_dear = batch_lengths(cheap, lengths), batch_lengths(dear, lengths)

    # if another batch costs little, padding is avoided; if it costs much, padding is accepted
    assert len(from_cheap) >= 2 * len(from_dear)
    for batches in (from_cheap, from_dear):
        assert sorted(length for batch in batches for length in batch) == list(lengths)
