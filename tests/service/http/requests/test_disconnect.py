import asyncio
from functools import partial

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from service.http.requests.disconnect import run_watched
from tests.service.http.fakes import (
    FakePipeline,
    hang_up_during,
    make_app,
)


async def test_hang_up_closes_a_stream() -> None:
    pipeline = FakePipeline(gate=asyncio.Event())
    app = make_app(pipeline)
    await hang_up_during(app, "/translate", {"q": "a", "target": "en", "stream": True}, pipeline)
    assert pipeline.is_stream_closed


@pytest.mark.parametrize("path", ["/translate", "/classify"])
async def test_hang_up_cancels_the_work(path: str) -> None:
    pipeline = FakePipeline(gate=asyncio.Event())
    body = {"q": "a", "inputs": "a", "target": "en"}
    assert await hang_up_during(make_app(pipeline), path, body, pipeline) == []
    assert pipeline.was_cancelled


async def wait_for_hang_up(hung_up: asyncio.Event) -> Message:
    await hung_up.wait()
    return {"type": "http.disconnect"}


async def test_work_that_ends_first_gives_its_result() -> None:
    async def work() -> int:
        return 7

    assert await run_watched(partial(wait_for_hang_up, asyncio.Event()), work()) == 7


async def test_hang_up_is_told_apart_from_a_cancelled_request() -> None:
    hung_up = asyncio.Event()
    begin = partial(run_watched, partial(wait_for_hang_up, hung_up))
    left, cancelled = (asyncio.create_task(begin(asyncio.sleep(60))) for _ in range(2))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled

    hung_up.set()
    with pytest.raises(ClientDisconnect):
        await asyncio.wait_for(left, 5)


async def test_failure_of_the_work_is_passed_on() -> None:
    async def work() -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        await run_watched(partial(wait_for_hang_up, asyncio.Event()), work())
