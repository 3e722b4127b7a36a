from fastapi import Request
from starlette.types import Message, Receive, Scope, Send

from service.http.context import RequestContext, find_request_context
from service.http.middleware.request_context import RequestContextMiddleware
from tests.service.http.fakes import connect, make_app


async def test_draining_server_is_not_ready_but_answers() -> None:
    app = make_app()
    app.context.is_draining = True
    async with connect(app) as client:
        response = await client.get("/readyz")
        answer = await client.post("/classify", json={"inputs": "a"})
    assert (response.status_code, answer.status_code) == (503, 200)
    assert "stopping" in response.json()["detail"]


async def receive_nothing() -> Message:
    return {"type": "http.disconnect"}


async def drop(message: Message) -> None:
    """Sends nothing."""


async def test_every_layer_finds_the_same_context() -> None:
    found: list[RequestContext] = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        found.append(find_request_context(scope))
        found.append(find_request_context(Request({**scope}).scope))

    app = make_app()
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"x-request-id", b"a")]}
    await RequestContextMiddleware(answer, app.context)(scope, receive_nothing, drop)

    assert found[0] is found[1]
    assert (found[0].request_id, found[0].app) == ("a", app.context)
