from typing import Any

import pytest

from tests.service.http.fakes import (
    FakePipeline,
    connect,
    fetch,
    make_app,
)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Authorization": "Bearer right"}, {}),
        ({"Authorization": "bearer second"}, {}),
        ({"X-API-Key": "right"}, {}),
        ({}, {"api_key": "right"}),
        ({"Authorization": "Basic eA=="}, {"api_key": "right"}),
    ],
)
@pytest.mark.parametrize("path", ["/translate", "/classify", "/detect"])
async def test_known_key_is_let_in(
    path: str, headers: dict[str, str], body: dict[str, str]
) -> None:
    fields = {"q": "a", "inputs": "a", "target": "en", **body}
    async with connect(make_app(api_keys="right,second")) as client:
        response = await client.post(path, json=fields, headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, {}, 401),
        ({}, {"api_key": ""}, 401),
        ({}, {"api_key": 5}, 401),
        ({"Authorization": "Basic eA=="}, {}, 401),
        ({"Authorization": "Bearer"}, {}, 401),
        ({"Authorization": "Bearer wrong"}, {}, 403),
        ({"X-API-Key": "right"}, {"api_key": "wrong"}, 200),
        ({"X-API-Key": "right,second"}, {}, 403),
        ({"X-API-Key": b"\xff"}, {}, 403),
        ({}, {"api_key": "wröng"}, 403),
    ],
)
async def test_unknown_key_is_kept_out(
    headers: dict[str, Any], body: dict[str, Any], status: int
) -> None:
    pipeline = FakePipeline()
    async with connect(make_app(pipeline, api_keys="right,second")) as client:
        response = await client.post("/classify", json={"inputs": "a", **body}, headers=headers)
    assert response.status_code == status
    assert (response.headers.get("www-authenticate") == "Bearer") == (status == 401)
    assert len(pipeline.calls) == (status == 200)


@pytest.mark.parametrize("path", ["/languages", "/models", "/readyz", "/metrics", "/", "/docs"])
async def test_reading_needs_no_key(path: str) -> None:
    assert (await fetch(path, api_keys="right")).status_code == 200
