"""What several front ends ask of one engine, and what is left of it when they go."""

import asyncio
from typing import Any

import pytest

from service.errors import (
    InferenceFailed,
)
from service.transport.link import Link
from service.transport.remote_engine import (
    RemoteBatcher,
    RemoteEngine,
)
from tests.fakes import (
    make_metrics,
    make_sequence,
)
from tests.service.transport.stand import (
    LIMITS,
    MODEL,
    NAME,
    run_both,
    wait_for_step,
    wait_until,
)


async def test_sequences_of_two_front_ends_share_a_batch() -> None:
    async with run_both() as stand:
        other = RemoteEngine(stand.mailbox)
        await other.open()
        second = RemoteBatcher(NAME, 0, other, LIMITS, make_metrics().of_model(NAME))
        stand.runner.gate.clear()
        futures = stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        futures += stand.batcher.submit([make_sequence()])
        futures += second.submit([make_sequence()])
        await asyncio.gather(stand.batcher.settle(), second.settle())
        stand.runner.gate.set()
        await asyncio.gather(*futures)
        assert [len(batch) for batch in stand.runner.batches] == [1, 2]
        await other.stop(0.0)


async def test_settling_does_not_wait_for_results() -> None:
    async with run_both() as stand:
        stand.runner.gate.clear()
        (future,) = stand.batcher.submit([make_sequence()])
        await asyncio.wait_for(stand.batcher.settle(), 5.0)
        assert not future.done()


async def test_a_cancelled_sequence_leaves_the_queue() -> None:
    async with run_both() as stand:
        stand.runner.gate.clear()
        (running,) = stand.batcher.submit([make_sequence()])
        await wait_for_step(stand.runner)
        (queued,) = stand.batcher.submit([make_sequence()])
        await stand.batcher.settle()
        assert stand.engine_side.batcher.num_pending == 2
        queued.cancel()
        running.cancel()
        await wait_until(lambda: stand.engine_side.batcher.num_pending == 0)
        stand.runner.gate.set()
        await asyncio.gather(*stand.batcher.submit([make_sequence(3)]))
        assert [len(batch) for batch in stand.runner.batches] == [1, 1]


async def test_a_front_end_that_dies_takes_back_what_it_asked() -> None:
    async with run_both() as stand:
        stand.runner.gate.clear()
        doomed = RemoteEngine(stand.mailbox)
        await doomed.open()
        batcher = RemoteBatcher(NAME, 0, doomed, LIMITS, make_metrics().of_model(NAME))
        batcher.submit([make_sequence() for _ in range(3)])
        await batcher.settle()
        assert stand.engine_side.batcher.num_pending == 3
        assert stand.engine_side.server.num_front_ends == 2
        await doomed.stop(0.0)
        await wait_until(lambda: stand.engine_side.batcher.num_pending == 0)
        assert stand.engine_side.server.num_front_ends == 1


async def test_a_failed_step_fails_its_own_sequences_alone() -> None:
    async with run_both() as stand:
        stand.runner.failures = [RuntimeError("shapes and paths")]
        (failing,) = stand.batcher.submit([make_sequence()])
        with pytest.raises(InferenceFailed, match="the server's log says why"):
            await failing
        (working,) = stand.batcher.submit([make_sequence()])
        assert await working is not None


async def test_a_front_end_hears_models_and_state_at_once_and_the_state_again() -> None:
    async with run_both() as stand:
        heard: list[tuple[Any, ...]] = []
        handlers = {
            "hello": lambda models: heard.append(("hello", models)),
            "status": lambda faults, queues: heard.append(("status", faults, queues)),
        }
        connection = stand.mailbox.leave()
        stand.engine_side.faults.append("the engine is tired")
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: Link(handlers, lambda: None, waits_for_reader=False), connection
        )
        await wait_until(lambda: len(heard) >= 3)

    assert heard[0] == ("hello", [tuple(MODEL)])
    assert [each[0] for each in heard[1:3]] == ["status"] * 2
    assert heard[1][1] == ["the engine is tired"]
    assert len(heard[1][2]) == 1  # a queue per model


async def test_a_closed_engine_takes_no_connections_and_ends_those_there_are() -> None:
    async with run_both() as stand:
        server = stand.engine_side.server
        assert server.num_front_ends == 1
        server.close()
        await wait_until(lambda: server.num_front_ends == 0)
