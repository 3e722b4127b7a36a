import asyncio

import pytest

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
