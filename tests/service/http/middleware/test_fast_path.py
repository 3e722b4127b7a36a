from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse

from service.http.app import SeqserveApp
from service.http.middleware.fast_path import FastPath
from service.http.middleware.request_context import RequestContextMiddleware
from tests.service.http.fakes import connect, make_app


async def ask(app: SeqserveApp, method: str, path: str) -> httpx.Response:
    """Sends a request to a fast path whose long way is a sentence."""
    entrance = RequestContextMiddleware(FastPath(PlainTextResponse("the long way")), app.context)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await entrance({**scope, "app": app}, receive, send)

    async with connect(answer) as client:
        return await client.request(method, path, json={"inputs": "a", "q": "a", "target": "en"})


@pytest.mark.parametrize("path", ["/classify", "/translate", "/detect"])
async def test_task_takes_the_fast_path(path: str) -> None:
    response = await ask(make_app(), "POST", path)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/classify"), ("POST", "/classify/"), ("GET", "/livez")]
)
async def test_other_requests_take_the_long_way(method: str, path: str) -> None:
    assert (await ask(make_app(), method, path)).text == "the long way"


async def test_error_is_a_problem_on_the_fast_path_too() -> None:
    response = await ask(make_app(api_keys="right"), "POST", "/classify")
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
