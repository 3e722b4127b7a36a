"""Calls of endpoints, and what came back."""

import json
from typing import Any

import httpx


async def post(client: httpx.AsyncClient, path: str, **fields: Any) -> Any:
    response = await client.post(path, json=fields)
    assert response.status_code == 200, response.text
    return response.json()


async def stream(client: httpx.AsyncClient, path: str, **fields: Any) -> list[Any]:
    """The data of the events."""
    response = await client.post(path, json={"stream": True, **fields})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in response.text.split("\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    data = [line.removeprefix("data: ") for line in lines]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


async def refuse(client: httpx.AsyncClient, path: str, **fields: Any) -> tuple[int, str]:
    response = await client.post(path, json=fields)
    return response.status_code, response.json()["detail"]
