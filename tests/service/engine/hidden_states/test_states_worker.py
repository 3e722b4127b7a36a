"""The thread of the states: reads that are queued, refused, or given up."""

import asyncio
import threading
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from service.arrays import Array
from service.engine.hidden_states.states import StatesSession
from service.engine.hidden_states.states_worker import StatesWorker
from service.errors import DeadlineExceeded, Overloaded
from tests.fakes import FakeStates

LONG = 20.0


class SlowStates(FakeStates):
    """A graph that runs when it may, and notes what it has run."""

    def __init__(self) -> None:
        self.gate, self.lengths = threading.Event(), list[int]()

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        assert self.gate.wait(LONG)
        self.lengths.append(feeds["input_ids"].shape[1])
        return super().run(feeds)


@pytest.fixture
def worker() -> Iterator[StatesWorker]:
    worker = StatesWorker(10)
    yield worker
    worker.stop()


@pytest.fixture
def slow() -> Iterator[SlowStates]:
    slow = SlowStates()
    yield slow
    slow.gate.set()


async def test_states_are_read_and_the_graph_is_opened_once(worker: StatesWorker) -> None:
    opened = []

    def open_graph() -> FakeStates:
        opened.append(threading.current_thread().name)
        return FakeStates()

    states = StatesSession(open_graph, {})
    for _ in range(2):
        found = await worker.read(states, [5, 7], None, LONG)
        np.testing.assert_array_equal(found["0.hidden"], [[0, 5, 10, 15], [0, 7, 14, 21]])

    assert len(opened) == 1
    assert opened[0].startswith("states")


async def test_more_tokens_than_may_wait_are_refused(
    worker: StatesWorker, slow: SlowStates
) -> None:
    states = StatesSession(lambda: slow, {})
    reading = asyncio.create_task(worker.read(states, [1] * 6, None, LONG))
    await asyncio.sleep(0)

    with pytest.raises(Overloaded, match=r"of 6 tokens are being read.*above the limit of 10"):
        await worker.read(states, [1] * 5, None, LONG)

    slow.gate.set()
    await reading
    await worker.read(states, [1] * 5, None, LONG)
    assert slow.lengths == [6, 5]


async def test_deadline_ends_the_wait_and_what_was_not_begun_is_not_read(
    worker: StatesWorker, slow: SlowStates
) -> None:
    states = StatesSession(lambda: slow, {})
    first = asyncio.create_task(worker.read(states, [1] * 3, None, LONG))
    await asyncio.sleep(0)

    with pytest.raises(DeadlineExceeded):
        await worker.read(states, [1] * 4, None, 0.05)

    slow.gate.set()
    await first
    await worker.read(states, [1] * 2, None, LONG)
    assert slow.lengths == [3, 2]


async def test_a_tokens_states_beyond_the_text_are_left_out(worker: StatesWorker) -> None:
    class Beyond(FakeStates):
        def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
            return {"0.hidden": np.zeros((1, 9, 4), np.float32)}

    found = await worker.read(StatesSession(Beyond, {}), [1, 2], None, LONG)

    assert found["0.hidden"].shape == (2, 4)
