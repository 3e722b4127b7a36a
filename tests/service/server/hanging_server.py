"""A server of two workers with a route that blocks the event loop, and a supervisor in a hurry."""

import socket
import sys
import time
from collections.abc import Sequence

from service.server.listener import open_listener
from service.server.supervisor import Supervisor
from service.server.uvicorn_server import run_app
from service.server.worker import prepare_signals
from service.settings import Settings
from service.telemetry.shared_metrics import MetricsSegment
from tests.service.http.fakes import make_app


async def block_event_loop() -> None:
    time.sleep(60)  # noqa: ASYNC251 - that is the point


def run_blocking_worker(
    settings: Settings, listener: socket.socket, segments: Sequence[MetricsSegment], place: int
) -> None:
    prepare_signals()
    app = make_app()
    app.add_api_route("/block", block_event_loop)
    run_app(app, settings, listener, lambda: segments[place].write([]))


if __name__ == "__main__":
    settings = Settings(workers=2, device="cpu", shutdown_delay_ms=0)
    listener = open_listener("127.0.0.1", 0)
    supervisor = Supervisor(settings, listener, run_blocking_worker, hung_seconds=2.0)
    supervisor.handle_signals()
    sys.exit(supervisor.run())
