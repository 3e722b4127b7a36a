"""What a front end asks of an engine, and what comes back; see `stand`."""

import asyncio
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from service.engine.batch import (
    Generation,
    Result,
    SamplingOptions,
    StreamState,
    TokenSequence,
)
from service.engine.scheduling.admission import QueueLimits
from service.errors import (
    DeadlineExceeded,
    InputTooLong,
    ModelNotReady,
    Overloaded,
)
from tests.fakes import (
    NEVER,
    FakeRunner,
    make_sequence,
    read_metric,
    shout,
    sum_ids,
)
from tests.service.transport.stand import (
    LIMITS,
    MODEL,
    NAME,
    EngineSide,
    run_both,
    wait_for_step,
    wait_until,
)


async def test_each_sequence_gets_its_own_answer_and_times() -> None:
    sequences = [make_sequence(length, arrived_at=time.monotonic()) for length in (3, 1, 7)]
    async with run_both() as stand:
        results = await asyncio.gather(*stand.batcher.submit(sequences))

    for sequence, result in zip(sequences, results, strict=True):
        np.testing.assert_array_equal(np.asarray(result), np.asarray(sum_ids(sequence)))
        assert sequence.arrived_at <= sequence.dispatched_at <= sequence.finished_at
        assert sequence.finished_at < time.monotonic()


async def test_a_refusal_comes_with_the_numbers_of_the_queue() -> None:
    limits = QueueLimits(2, 100)
    async with run_both(limits=limits) as stand:
        stand.runner.gate.clear()
        stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        too_long = stand.batcher.submit([make_sequence(101)])
        stand.batcher.submit([make_sequence(), make_sequence()])
        refused = stand.batcher.submit([make_sequence()])
        await stand.batcher.settle()

        assert all(future.done() for future in refused + too_long)
        with pytest.raises(Overloaded, match="holds 2 requests, and 1 more are above") as found:
            await refused[0]
        assert found.value.reason == "requests"
        with pytest.raises(InputTooLong, match="101 tokens at once"):
            await too_long[0]
        shed = read_metric(stand.engine_side.metrics, "shed_total", model=NAME, reason="requests")
        assert shed == 1.0


async def test_a_deadline_that_passes_in_the_queue_is_told() -> None:
    async with run_both() as stand:
        stand.runner.gate.clear()
        stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        now = time.monotonic()
        late = make_sequence(deadline=now + 0.05, arrived_at=now)
        (future,) = stand.batcher.submit([late])
        await asyncio.sleep(0.1)
        stand.runner.gate.set()
        with pytest.raises(DeadlineExceeded, match="s in the queue; allow more time"):
            await future


async def test_tokens_come_before_the_result_and_make_it() -> None:
    heard: list[int] = []
    sequence = make_sequence(4)
    sequence.on_tokens = heard.extend
    async with run_both(FakeRunner(shout)) as stand:
        (result,) = await asyncio.gather(*stand.batcher.submit([sequence]))
        assert isinstance(result, list)
        assert heard == result[0].token_ids


class TalkingRunner(FakeRunner):
    """Tells tokens 1, 2, 3 and so on, one per step, and never ends by itself."""

    def __init__(self) -> None:
        super().__init__(num_steps=lambda _: 10**9)
        self.num_told = 0

    def step(self, arrivals: list[TokenSequence]) -> list[tuple[TokenSequence, Result]]:
        results = super().step(arrivals)
        time.sleep(0.001)
        for sequence in self._running:
            self.num_told += 1
            assert sequence.on_token is not None
            assert not sequence.on_token(self.num_told, -0.5)
        return results


async def test_a_listener_ends_its_text_and_the_engine_stops_soon() -> None:
    heard: list[int] = []

    def listen(token_id: int, log_probability: float) -> bool:
        heard.append(token_id)
        return token_id == 3

    sequence = TokenSequence([8], 0.0, NEVER, sampling=SamplingOptions(), on_token=listen)
    async with run_both(TalkingRunner()) as stand:
        (result,) = await asyncio.gather(*stand.batcher.submit([sequence]))
        assert result == Generation([1, 2, 3], [-0.5] * 3, "stop")
        assert sequence.dispatched_at < sequence.finished_at < NEVER
        await wait_until(lambda: stand.engine_side.batcher.num_pending == 0)
        assert heard == [1, 2, 3]


class StateRunner(FakeRunner):
    """Adds one to the states of each piece."""

    def step(self, arrivals: list[TokenSequence]) -> list[tuple[TokenSequence, Result]]:
        for sequence in arrivals:
            assert sequence.stream is not None
            before = sequence.stream.states.get("hidden", np.zeros((1, 2), np.float32))
            sequence.stream.states = {"hidden": before + 1}
        return super().step(arrivals)


async def test_the_states_of_a_stream_go_and_come_back() -> None:
    stream = StreamState()
    async with run_both(StateRunner()) as stand:
        for _ in range(3):
            piece = replace(make_sequence(), search=None, stream=stream)
            await asyncio.gather(*stand.batcher.submit([piece]))
    np.testing.assert_array_equal(stream.states["hidden"], np.full((1, 2), 3.0, np.float32))


async def test_states_are_read_over_there() -> None:
    async with run_both() as stand:
        found = await stand.states.read([1, 2], None, 20.0)
        np.testing.assert_array_equal(found["0.hidden"][:, 3], np.array([3.0, 6.0], np.float32))
        assert set(found) == {"0.hidden", "0.cell"}
        with pytest.raises(Overloaded, match="above the limit of 100"):
            await stand.states.read([1] * 101, None, 20.0)
        with pytest.raises(DeadlineExceeded):
            await stand.states.read([1], None, 0.0)


async def test_what_an_engine_held_ends_with_it_and_another_is_found() -> None:
    async with run_both() as stand:
        stand.runner.gate.clear()
        (lost,) = stand.batcher.submit([make_sequence()])
        settling = asyncio.create_task(stand.batcher.settle())
        await stand.batcher.settle()
        await settling
        await stand.engine_side.die()
        with pytest.raises(ModelNotReady, match="the engine process has ended") as found:
            await lost
        assert found.value.retry_after_seconds == 5.0
        assert stand.engine.faults() == ["the engine process is being started"]
        with pytest.raises(ModelNotReady):
            stand.batcher.submit([make_sequence()])
        with pytest.raises(ModelNotReady):
            await stand.states.read([1], None, 20.0)

        stand.engine_side = EngineSide(FakeRunner(), LIMITS)
        stand.engine_side.start(stand.mailbox)
        await wait_until(lambda: not stand.engine.faults())
        assert await asyncio.gather(*stand.batcher.submit([make_sequence()]))


async def test_an_engine_with_other_models_makes_the_front_end_outdated() -> None:
    async with run_both() as stand:
        await stand.engine_side.die()
        stand.engine_side = EngineSide(FakeRunner(), LIMITS, MODEL._replace(digest="another"))
        stand.engine_side.start(stand.mailbox)
        await wait_until(lambda: stand.engine.is_outdated)
        assert stand.engine.faults() == ["the models have changed; this process is replaced"]
        with pytest.raises(ModelNotReady):
            stand.batcher.submit([make_sequence()])


async def test_faults_of_the_engine_are_those_of_the_front_end() -> None:
    async with run_both() as stand:
        assert stand.engine.faults() == []
        stand.engine_side.faults.append("a worker has died")
        await wait_until(lambda: stand.engine.faults() == ["a worker has died"])


async def test_an_engine_that_says_nothing_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.transport.remote_engine.SILENT_SECONDS", 0.2)
    async with run_both() as stand:
        assert stand.engine.faults() == []
        stand.engine_side.server._timer.cancel()  # type: ignore[union-attr]
        await asyncio.sleep(0.3)
        (fault,) = stand.engine.faults()
        assert "has not been heard of" in fault


async def test_a_slow_queue_is_refused_before_anything_is_sent() -> None:
    limits = QueueLimits(100_000, 1_000_000, 0.01)

    def drag() -> None:
        time.sleep(0.02)

    async with run_both(limits=limits) as stand:
        stand.batcher.forecast().admit()
        stand.runner.on_step = drag
        futures = stand.batcher.submit([make_sequence() for _ in range(600)])
        await wait_until(lambda: stand.batcher.forecast().wait_seconds > limits.max_wait_seconds)
        with pytest.raises(Overloaded, match="is predicted to be") as found:
            stand.batcher.forecast().admit()
        assert found.value.reason == "wait"
        assert found.value.retry_after_seconds > 0.01
        for future in futures:
            future.cancel()
        await wait_until(lambda: not stand.batcher.forecast().wait_seconds)


async def test_an_engine_that_does_not_read_is_asked_for_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.transport.link.HIGH_WATER_BYTES", 1000)
    async with run_both(limits=QueueLimits(10**6, 10**9)) as stand:
        (front_end,) = stand.engine_side.server._front_ends
        assert front_end.link._transport is not None
        front_end.link._transport.pause_reading()

        futures = []

        async def flood() -> None:
            for _ in range(1000):
                futures.extend(stand.batcher.submit([make_sequence(5000)]))
                await asyncio.sleep(0)

        with pytest.raises(Overloaded, match="of requests behind") as found:
            await flood()
        assert found.value.reason == "requests"
        front_end.link._transport.resume_reading()
        assert len(await asyncio.gather(*futures)) == len(futures)
        assert await asyncio.gather(*stand.batcher.submit([make_sequence()]))


async def test_stopping_lets_the_engine_answer_first() -> None:
    async with run_both() as stand:
        stand.runner.gate.clear()
        (future,) = stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        threading.Timer(0.1, stand.runner.gate.set).start()
        await stand.engine.stop(10.0)
        assert future.done()
        assert future.exception() is None
