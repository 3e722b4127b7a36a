import asyncio
import logging

import pytest

from service import errors
from tests.service.http.fakes import (
    FakePipeline,
    FakeRegistry,
    classify,
    connect,
    make_app,
)


async def test_pages_of_other_origins_may_ask_where_they_are_named() -> None:
    asked = {"Origin": "https://a.org", "Access-Control-Request-Method": "POST"}
    body = {"inputs": "good"}
    async with connect(make_app(cors_origins="https://a.org, https://b.org")) as client:
        preflight = await client.options("/classify", headers=asked)
        answer = await client.post("/classify", json=body, headers=asked)
        foreign = await client.post("/classify", json=body, headers={"Origin": "https://c.org"})
    async with connect(make_app()) as client:
        plain = await client.post("/classify", json=body, headers=asked)

    allowed = "access-control-allow-origin"
    assert preflight.status_code == answer.status_code == foreign.status_code == 200
    assert preflight.headers[allowed] == answer.headers[allowed] == "https://a.org"
    assert "X-Model-Name" in answer.headers["access-control-expose-headers"]
    assert allowed not in foreign.headers
    assert allowed not in plain.headers


async def test_lifespan_starts_and_stops_the_registry() -> None:
    registry = FakeRegistry()
    app = make_app(registry=registry)
    async with app.router.lifespan_context(app):
        assert (registry.num_starts, registry.num_stops) == (1, 0)
        assert not app.context.is_draining
    assert registry.num_stops == 1
    assert app.context.is_draining


async def test_failed_start_is_not_swallowed() -> None:
    app = make_app(registry=FakeRegistry(start_error=errors.ArtefactError("broken")))
    with pytest.raises(errors.ArtefactError, match="broken"):
        async with app.router.lifespan_context(app):
            pass


async def test_requests_do_not_wait_for_each_other() -> None:
    pipeline = FakePipeline(gate=asyncio.Event())
    assert pipeline.gate is not None
    app = make_app(pipeline)
    async with connect(app) as client:
        slow = asyncio.create_task(client.post("/classify", json={"inputs": "a"}))
        await pipeline.is_asked.wait()
        assert (await client.get("/livez")).status_code == 200
        pipeline.gate.set()
        assert (await slow).status_code == 200


@pytest.mark.parametrize(("reasons", "value"), [([], 1.0), (["the engine is stuck"], 0.0)])
async def test_readiness_is_a_metric_too(reasons: list[str], value: float) -> None:
    async with connect(make_app(None, FakeRegistry(reasons))) as client:
        text = (await client.get("/metrics")).text
    assert f"seqserve_ready {value}" in text


async def test_preflight_has_an_id_and_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    asked = {"Origin": "https://a.org", "Access-Control-Request-Method": "POST"}
    async with connect(make_app(cors_origins="https://a.org")) as client:
        allowed = await client.options("/classify", headers=asked | {"X-Request-ID": "id-1"})
        refused = await client.options("/classify", headers=asked | {"Origin": "https://c.org"})

    assert (allowed.status_code, allowed.headers["x-request-id"]) == (200, "id-1")
    assert (refused.status_code, len(refused.headers["x-request-id"])) == (400, 32)
    lines = [vars(record) for record in caplog.records if record.getMessage() == "request"]
    assert [(line["method"], line["status"]) for line in lines] == [
        *(("OPTIONS", 200), ("OPTIONS", 400)),
    ]


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), errors.InferenceFailed("x")])
async def test_pages_of_other_origins_may_read_failures_too(error: Exception) -> None:
    app = make_app(FakePipeline(error=error), cors_origins="https://a.org")
    response = await classify(app, headers={"Origin": "https://a.org"})

    assert response.status_code == 500
    assert response.headers["access-control-allow-origin"] == "https://a.org"
    assert response.headers["x-request-id"]
