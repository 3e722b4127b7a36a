import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import uvicorn

from service.server.listener import format_url, open_listener
from service.server.uvicorn_server import (
    RETIRE_SIGNAL,
    SWITCH_SECONDS,
    GracefulServer,
    StopLoading,
    announce,
    make_config,
    run_app,
    serve_app,
)
from service.settings import Settings
from tests.service.http.fakes import FakePipeline, FakeRegistry, make_app

KEEP_ALIVE_SECONDS = 1
BODY = {"inputs": "a fine film"}


@dataclass
class Running:
    """A server in this process, on a real socket; signals are calls of its handlers."""

    server: GracefulServer
    task: "asyncio.Task[None]"
    url: str
    pipeline: FakePipeline
    heartbeats: list[float] = field(default_factory=list)

    def connect(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=10.0)

    def terminate(self, number: int = signal.SIGTERM) -> None:
        self.server.handle_exit(number, None)

    def retire(self) -> None:
        self.server.handle_retire(RETIRE_SIGNAL, None)

    async def wait_end(self) -> None:
        await asyncio.wait_for(self.task, 10.0)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    pipeline, heartbeats, is_listening = FakePipeline(), list[float](), asyncio.Event()
    app = make_app(pipeline)
    listener = open_listener("127.0.0.1", 0)
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=5,
    )

    def heartbeat() -> None:
        heartbeats.append(time.monotonic())
        is_listening.set()

    server = GracefulServer(config, app.context, 0.5, heartbeat)
    url = format_url(listener)
    task = asyncio.create_task(serve_app(app, server, listener))
    await asyncio.wait_for(is_listening.wait(), 10.0)
    yield Running(server, task, url, pipeline, heartbeats)
    server.should_exit = True
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(task, 10.0)


async def test_heartbeat_comes_once_it_listens_and_every_second(running: Running) -> None:
    assert len(running.heartbeats) >= 1
    seen = len(running.heartbeats)
    await asyncio.sleep(1.3)
    assert len(running.heartbeats) > seen


async def test_told_to_stop_it_is_unready_and_closes_connections_but_answers(
    running: Running,
) -> None:
    async with running.connect() as client:
        assert (await client.get("/readyz")).status_code == 200
        running.terminate()
        answer = await client.post("/classify", json=BODY)
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert (await client.get("/readyz")).status_code == 503
    started = time.monotonic()
    await running.wait_end()
    assert time.monotonic() - started < 2.0


async def test_running_request_is_answered_after_the_order_to_stop(running: Running) -> None:
    running.pipeline.gate = asyncio.Event()
    async with running.connect() as client:
        request = asyncio.create_task(client.post("/classify", json=BODY))
        await running.pipeline.is_asked.wait()
        running.terminate()
        await asyncio.sleep(0.8)  # beyond the delay
        running.pipeline.gate.set()
        assert (await request).status_code == 200
    await running.wait_end()


async def test_key_press_closes_at_once(running: Running) -> None:
    started = time.monotonic()
    running.terminate(signal.SIGINT)
    await running.wait_end()
    assert time.monotonic() - started < 0.45


async def test_same_signal_twice_within_a_moment_counts_once(running: Running) -> None:
    """A key press reaches a worker from the terminal and from its supervisor."""
    running.terminate(signal.SIGINT)
    running.terminate(signal.SIGINT)
    assert not running.server.force_exit
    await running.wait_end()


async def test_second_term_after_a_while_closes_without_the_rest_of_the_delay(
    running: Running,
) -> None:
    running.server.delay_seconds = 60.0
    running.terminate()
    await asyncio.sleep(0.6)
    running.terminate()
    await running.wait_end()


async def test_retiring_server_stays_ready_and_asks_to_close(running: Running) -> None:
    async with running.connect() as client:
        await client.get("/readyz")
        running.retire()
        await asyncio.sleep(0.3)
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    await running.wait_end()


async def test_retiring_server_accepts_no_more_connections(running: Running) -> None:
    async with running.connect() as client:
        await client.get("/livez")  # a connection that keeps it alive
        running.retire()
        await asyncio.sleep(0.3)
        async with running.connect() as late:
            with pytest.raises(httpx.ConnectError):
                await late.get("/livez")


async def test_retiring_server_without_connections_ends_at_once(running: Running) -> None:
    started = time.monotonic()
    running.retire()
    await running.wait_end()
    assert time.monotonic() - started < 0.9


async def test_idle_connection_of_a_retiring_server_lasts_until_its_usual_time_out(
    running: Running,
) -> None:
    async with running.connect() as client:
        await client.get("/livez")
        running.retire()
        started = time.monotonic()
        await running.wait_end()
    assert KEEP_ALIVE_SECONDS * 0.7 < time.monotonic() - started < KEEP_ALIVE_SECONDS + 1.5


async def test_connection_that_never_asks_does_not_keep_a_retiring_server(
    running: Running,
) -> None:
    host, port = running.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    running.retire()
    await running.wait_end()
    writer.close()


async def test_retiring_server_can_still_be_told_to_stop(running: Running) -> None:
    async with running.connect() as client:
        await client.get("/livez")
        started = time.monotonic()
        running.retire()
        running.terminate()
        await running.wait_end()
    assert time.monotonic() - started < KEEP_ALIVE_SECONDS


def test_ready_line_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    with open_listener("127.0.0.1", 0) as listener:
        heartbeat = announce(listener)
        heartbeat()
        heartbeat()
        url = format_url(listener)
    assert capsys.readouterr().out == f"seqserve is ready on {url} (documentation: {url}/docs)\n"


def test_signal_while_models_load_ends_the_process_with_success() -> None:
    with pytest.raises(SystemExit) as raised:
        StopLoading()(signal.SIGTERM, None)
    assert raised.value.code == 0


async def test_order_to_stop_that_was_lost_while_models_load_closes_the_server() -> None:
    """Python drops what a signal handler raises inside a finalizer."""
    stop_loading = StopLoading()

    class Finalized:
        def __del__(self) -> None:
            with contextlib.suppress(SystemExit):
                signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop_loading)
    Finalized()
    app = make_app()
    with open_listener("127.0.0.1", 0) as listener:
        server = GracefulServer(make_config(app, Settings()), app.context, 60.0, lambda: None)
        await asyncio.wait_for(serve_app(app, server, listener), 10.0)
    assert app.context.is_draining


@pytest.fixture
def _switch_interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Ends the server before it listens."""


class NotingRegistry(FakeRegistry):
    """Notes the switch interval that models are loaded with, and ends the server."""

    interval = 0.0

    async def start(self) -> None:
        self.interval = sys.getswitchinterval()
        raise Stopped


@pytest.mark.usefixtures("_switch_interval")
def test_every_server_hands_the_interpreter_over_early(tmp_path: Path) -> None:
    registry = NotingRegistry()
    settings = Settings(models_dir=tmp_path)

    with open_listener("127.0.0.1", 0) as listener, pytest.raises(Stopped):
        run_app(make_app(registry=registry), settings, listener, announce(listener))

    assert registry.interval == pytest.approx(SWITCH_SECONDS)
    assert SWITCH_SECONDS < 0.001  # Python's own is 0.005
