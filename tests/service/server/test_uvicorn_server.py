"""What a signal does to a server; that of whole processes is tests/service/test_cli.py's."""

import asyncio
import signal
import time

import uvicorn

from service.server.uvicorn_server import GracefulServer
from tests.service.http.fakes import make_app


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
