import asyncio
from typing import Any

import httpx
import pytest

from service.http.middleware.failures import FailureMiddleware
from service.http.middleware.request_context import RequestContextMiddleware
from tests.service.http.fakes import (
    FakePipeline,
    classify,
    connect,
    make_app,
    samples,
)


async def test_unforeseen_failure_is_ours_and_says_nothing_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    response = await classify(make_app(FakePipeline(error=ZeroDivisionError("secret"))))
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    assert "secret" not in response.text
    assert "unexpected error" in caplog.text


async def test_answer_that_breaks_off_counts_as_an_error() -> None:
    async def begin(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("x")

    async def receive_nothing() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    sent: list[str] = []
    app = make_app()
    entrance = RequestContextMiddleware(FailureMiddleware(begin), app.context)
    await entrance(
        {"type": "http", "method": "POST", "path": "/classify", "headers": []},
        receive_nothing,
        send,
    )

    assert sent == ["http.response.start"]
    assert samples(app, "seqserve_requests_total") == {("none", "error"): 1.0}


@pytest.mark.parametrize("is_draining", [True, False])
async def test_request_that_outlives_the_drain_is_told_so(is_draining: bool) -> None:
    pipeline = FakePipeline(gate=asyncio.Event())
    app = make_app(pipeline)
    async with connect(app) as client:
        request = asyncio.create_task(client.post("/classify", json={"inputs": "a"}))
        await pipeline.is_asked.wait()
        app.context.is_draining = is_draining
        request.cancel()
        (answer,) = await asyncio.gather(request, return_exceptions=True)
    assert pipeline.was_cancelled
    assert isinstance(answer, httpx.Response) == is_draining
    assert not is_draining or answer.status_code == 503
