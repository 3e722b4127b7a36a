"""What a signal does to a server; that of whole processes is tests/service/test_cli.py's."""

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from service.server.uvicorn_server import (
    SWITCH_SECONDS,
    GracefulServer,
    announce,
    open_listener,
    run_app,
)
from service.settings import Settings
from tests.service.http.fakes import FakeRegistry, make_app


def make_server(delay_seconds: float = 0.0) -> GracefulServer:
    app = make_app()
    return GracefulServer(uvicorn.Config(app), app.context, delay_seconds, lambda: None)


def tick(server: GracefulServer) -> bool:
    return asyncio.run(server.on_tick(1))


def test_told_to_stop_it_drains_the_context_that_it_was_given() -> None:
    server = make_server(delay_seconds=60.0)

    server.handle_exit(signal.SIGTERM, None)

    assert server.context.is_draining
    assert not tick(server)


def test_it_closes_when_the_delay_is_over() -> None:
    server = make_server()

    server.handle_exit(signal.SIGTERM, None)

    assert tick(server)
    assert not server.force_exit


def test_interrupt_closes_at_once() -> None:
    server = make_server(delay_seconds=60.0)

    server.handle_exit(signal.SIGINT, None)

    assert server.context.is_draining
    assert server.should_exit
    assert not server.force_exit


def test_same_signal_from_two_sources_counts_once() -> None:
    server = make_server(delay_seconds=60.0)

    server.handle_exit(signal.SIGINT, None)
    server.handle_exit(signal.SIGINT, None)

    assert not server.force_exit


def test_second_interrupt_drops_running_requests() -> None:
    server = make_server(delay_seconds=60.0)

    server.handle_exit(signal.SIGINT, None)
    server.stop_requested_at = time.monotonic() - 1.0
    server.handle_exit(signal.SIGINT, None)

    assert server.force_exit


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
