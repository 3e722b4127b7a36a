"""A server in the process of the test, on a real socket, configured as `seqserve serve` does."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from service.server.listener import open_listener
from service.server.uvicorn_server import (
    RETIRE_SIGNAL,
    GracefulServer,
    make_config,
    serve_app,
)
from service.settings import Settings
from tests.service.http.fakes import FakePipeline, make_app


@dataclass(frozen=True)
class Live:
    """Where a server listens, and what it works with."""

    port: int
    server: GracefulServer
    pipeline: FakePipeline

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@asynccontextmanager
async def run_live(**settings: Any) -> AsyncIterator[Live]:
    """Serves `FakePipeline` until the test is over."""
    handler = signal.getsignal(RETIRE_SIGNAL)
    pipeline, is_listening = FakePipeline(), asyncio.Event()
    app = make_app(pipeline, **settings)
    listener = open_listener("127.0.0.1", 0)
    server = GracefulServer(
        make_config(app, Settings(**settings)), app.context, 0.0, is_listening.set
    )
    task = asyncio.create_task(serve_app(app, server, listener))
    await asyncio.wait_for(is_listening.wait(), 10.0)
    yield Live(listener.getsockname()[1], server, pipeline)
    server.should_exit = True
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(task, 10.0)
    signal.signal(RETIRE_SIGNAL, handler)


@dataclass(frozen=True)
class Received:
    status: int
    headers: dict[str, str]
    body: bytes


async def read_answer(reader: asyncio.StreamReader) -> Received:
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10.0)).decode()
    status, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = await reader.read()
    return Received(int(status.split()[1]), headers, body)
