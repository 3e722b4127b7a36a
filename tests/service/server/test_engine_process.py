import asyncio
import signal
from collections.abc import Iterator

import pytest

from service.server.engine_process import StopOrder
from service.server.uvicorn_server import StopLoading


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """The handlers of before, once the test is over."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def test_without_an_order_it_goes_on() -> None:
    assert not StopOrder(0.0).is_due(num_front_ends=0)


async def test_a_signal_waits_for_the_last_front_end() -> None:
    stop = StopOrder(60.0)
    signal.raise_signal(signal.SIGTERM)
    await asyncio.sleep(0.01)
    assert not stop.is_due(num_front_ends=1)
    assert stop.is_due(num_front_ends=0)


async def test_front_ends_that_do_not_end_are_not_waited_for_for_ever() -> None:
    stop = StopOrder(0.05)
    stop.give(signal.SIGTERM)
    assert not stop.is_due(num_front_ends=2)
    await asyncio.sleep(0.1)
    assert stop.is_due(num_front_ends=2)


async def test_a_key_that_is_pressed_again_ends_it_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("service.server.engine_process.SAME_KEY_SECONDS", 0.05)
    stop = StopOrder(60.0)
    stop.give(signal.SIGINT)
    stop.give(signal.SIGINT)  # from the terminal and from the supervisor
    assert not stop.is_due(num_front_ends=1)
    await asyncio.sleep(0.1)
    stop.give(signal.SIGINT)
    assert stop.is_due(num_front_ends=1)


async def test_a_signal_that_came_while_models_loaded_counts() -> None:
    loading = StopLoading()
    loading.was_asked = True
    signal.signal(signal.SIGTERM, loading)
    assert StopOrder(60.0).is_due(num_front_ends=0)
