"""Measures bodies: `python docs/decisions/measured/bodies.py`, processor time in process.

Reading, parsing and checking `{"inputs": ...}` by our code, and whole calls of two FastAPI routes:
one that declares the body as a model, and one that reads none.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response

from docs.decisions.measured.report import write_report
from service.http.requests.bodies import parse_fields, read_body
from service.http.routes.tasks import check_fields
from service.http.schemas.classify import ClassifyRequest

CALLS, ROUNDS = 3000, 9
BODY = b'{"inputs": "a delight from start to finish"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
Call = Callable[[], Awaitable[object]]


def make_scope(path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": HEADERS,
        "client": None,
        "server": ("localhost", 80),
        "http_version": "1.1",
    }


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": BODY, "more_body": False}


async def send(message: Any) -> None:
    pass


async def read_ours() -> object:
    request = Request(make_scope("/classify"), receive)
    body = await read_body(request, 1_000_000)
    return check_fields(await parse_fields(body, b"", request.headers), ClassifyRequest)


def make_app() -> FastAPI:
    app = FastAPI()

    @app.post("/model")
    async def read_model(body: ClassifyRequest) -> Response:
        return Response(b"")

    @app.post("/nothing")
    async def read_nothing(request: Request) -> Response:
        return Response(b"")

    return app


async def time_each(call: Call) -> float:
    """Microseconds of processor time per call."""
    started = time.process_time()
    for _ in range(CALLS):
        await call()
    return 1e6 * (time.process_time() - started) / CALLS


async def time_calls() -> dict[str, float]:
    app = make_app()
    calls: dict[str, Call] = {
        "ours": read_ours,
        "FastAPI, a model": lambda: app(make_scope("/model"), receive, send),
        "FastAPI, no body": lambda: app(make_scope("/nothing"), receive, send),
    }
    runs: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            runs[name].append(await time_each(call))
    return {name: round(statistics.median(found), 1) for name, found in runs.items()}


if __name__ == "__main__":
    write_report(__file__, lambda: {"us": asyncio.run(time_calls())})
