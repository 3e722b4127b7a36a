"""One server process: listens, tells when it is ready, stops without losing a request."""

import asyncio
import faulthandler
import logging
import math
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import NamedTuple, cast

import uvicorn

from service.http.app import SeqserveApp
from service.http.context import AppContext
from service.http.direct import DirectClassify
from service.http.door import Door
from service.server.fair_listener import FairListener
from service.server.hangup import ends_with_terminal, has_terminal
from service.server.listener import format_url
from service.server.protocol import HttpProtocol
from service.server.tls import open_tls
from service.settings import Settings
from service.telemetry.batched_logs import batch_lines
from service.telemetry.shared_metrics import MetricsSegment

logger = logging.getLogger(__name__)

TICKS_PER_SECOND = 10  # of uvicorn's main loop

# How long a thread may keep the interpreter while another wants it. An engine whose step is over
# would wait for 5 ms by default, longer than the step took, while the event loop parses requests.
SWITCH_SECONDS = 0.0001
# The supervisor sends it to a worker whose replacement is ready.
RETIRE_SIGNAL = signal.SIGUSR1

# A key press reaches a worker twice: from the terminal, and from the process that watches it.
SAME_SIGNAL_SECONDS = 0.5

Heartbeat = Callable[[], None]


class Seat(NamedTuple):
    """Which of the workers of a server a process is: its place among their segments."""

    segments: Sequence[MetricsSegment]
    place: int


class StopLoading:
    """Handles a signal to stop that arrives while models load: ends the process with success.

    Python drops an exception that is raised inside a finalizer, so the order is also noted, and
    the server closes as soon as it listens.
    """

    def __init__(self) -> None:
        self.was_asked = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.was_asked = True
        raise SystemExit(0)


class GracefulServer(uvicorn.Server):
    """uvicorn, but it stops without losing a request, and its exit code is then 0.

    There are two ways to stop:

    - SIGTERM, when the whole server is to go: it is unready at once and asks each client to close
      its connection; for `delay_seconds` it takes further requests, so that balancers notice
      before it closes.
    - `RETIRE_SIGNAL`, when other workers go on accepting from the same socket: it accepts no more
      connections, stays ready, and asks each client to close its connection. Idle connections are
      left open until they time out as they always do, because a client may be about to send on
      one; a connection that is closed at that moment loses the request.

    Args:
        config: of uvicorn.
        context: of the app; learns that it is draining.
        delay_seconds: between SIGTERM and closing.
        heartbeat: called once it listens, and every second from then on.
        seat: among several workers; None if there is one process.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        context: AppContext,
        delay_seconds: float,
        heartbeat: Heartbeat,
        seat: Seat | None = None,
    ) -> None:
        super().__init__(config)
        self._seat = seat
        self.context = context
        self.delay_seconds, self.heartbeat = delay_seconds, heartbeat
        self.stop_requested_at, self.close_at = math.inf, math.inf
        self.is_retiring, self.retire_by = False, math.inf

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loading = signal.getsignal(signal.SIGTERM)
        if isinstance(loading, StopLoading) and loading.was_asked:
            self._close()
        signal.signal(RETIRE_SIGNAL, self.handle_retire)
        with super().capture_signals():
            yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._seat is None:
            await super().startup(sockets)
        else:
            await super().startup([])
            (listener,) = sockets or []
            fair = self._open_fair_listener(listener, self._seat)
            self.servers = [cast(asyncio.Server, fair)]
            self.server_state.connections = fair.connections
        self.heartbeat()

    def _open_fair_listener(self, listener: socket.socket, seat: Seat) -> FairListener:
        config = self.config
        make_protocol = partial(
            cast(Callable[..., asyncio.Protocol], config.http_protocol_class),
            config=config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )

        return FairListener(
            listener, make_protocol, config.ssl, config.backlog, seat.segments, seat.place
        )

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_PER_SECOND == 0:
            self.heartbeat()
        if self.is_retiring:
            self._retire()
        if time.monotonic() >= self.close_at:
            self._close()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        # uvicorn's own raises the signal once more in the end, which would spoil the exit code.
        now = time.monotonic()
        if sig == signal.SIGTERM and not self.context.is_draining:
            self.close_at = min(self.close_at, now + self.delay_seconds)
        elif now - self.stop_requested_at > SAME_SIGNAL_SECONDS or not self.should_exit:
            # from a terminal, or a second request to stop
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True
        self.context.is_draining = True
        self.stop_requested_at = min(self.stop_requested_at, now)

    def handle_retire(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.is_retiring = True  # the rest is done between two callbacks of the event loop

    def _retire(self) -> None:
        """Stops accepting; from the next tick on, closes once no connection is left."""
        if math.isinf(self.retire_by):
            # By then each connection has been used and closed, or idle for too long.
            self.retire_by = time.monotonic() + self.config.timeout_keep_alive + 1
            self.close_at = min(self.close_at, self.retire_by)
            for server in self.servers:
                server.close()
            self.config.encoded_headers.append((b"connection", b"close"))
            headers = self.server_state.default_headers
            self.server_state.default_headers = [*headers, (b"connection", b"close")]
        elif not self.server_state.connections:
            self._close()

    def _close(self) -> None:
        self.context.is_draining = True
        self.should_exit = True


def run_app(
    app: SeqserveApp,
    settings: Settings,
    listener: socket.socket,
    heartbeat: Heartbeat,
    seat: Seat | None = None,
) -> None:
    """Serves until a signal; running requests get `drain_seconds` to finish.

    A process killed by SIGABRT or by a fault writes the stacks of all its threads to stderr.
    SIGHUP is ignored, with a line in the log, unless it says that the terminal was closed: one
    process cannot be replaced by another. A handler that was set before is kept.

    Args:
        app: its lifespan loads the models.
        settings: see `Settings`.
        listener: a socket that is bound.
        heartbeat: see `GracefulServer`.
        seat: see there.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    faulthandler.enable()
    handle_hangup()
    config = make_config(app, settings)
    delay_seconds, metrics = settings.shutdown_delay_ms / 1000, app.context.metrics
    server = GracefulServer(config, app.context, delay_seconds, heartbeat, seat)
    metrics.connections.labels(str(seat.place if seat else 0)).set_function(
        lambda: len(server.server_state.connections)
    )
    count_dropped = metrics.dropped_log_lines_total.inc
    with (
        batch_lines(settings.max_log_lines, count_dropped),
        asyncio.Runner(loop_factory=config.get_loop_factory()) as runner,
    ):
        runner.run(serve_app(app, server, listener))


def make_config(app: SeqserveApp, settings: Settings) -> uvicorn.Config:
    """Uvicorn's configuration; TLS files are read when the server starts.

    Raises:
        OSError: they cannot be used.
    """
    protocol = partial(HttpProtocol, Door(app.context), DirectClassify(app.context))
    tls = partial(open_tls, settings.certfile, settings.keyfile) if settings.certfile else None
    return uvicorn.Config(
        app,
        http=cast(type[asyncio.Protocol], protocol),
        ws="websockets-sansio",
        ws_max_size=4 * settings.max_frame_chars,  # bytes of UTF-8
        ws_per_message_deflate=False,  # frames are short, and each connection would hold a window
        lifespan="off",  # `serve_app` runs it: what fails there arrives here as an exception
        log_config=None,
        access_log=False,  # the app writes one line per request itself
        server_header=False,
        proxy_headers=False,  # nothing here depends on the client's address
        ssl_context_factory=(lambda *_: tls()) if tls else None,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
    )


async def serve_app(app: SeqserveApp, server: uvicorn.Server, listener: socket.socket) -> None:
    async with app.router.lifespan_context(app):
        await server.serve(sockets=[listener])


def handle_hangup() -> None:
    """Sets what SIGHUP does to a server of one process; a worker ignores it already."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:
        return
    is_bound = ends_with_terminal()

    def handler(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        if is_bound and not has_terminal():
            signal.raise_signal(signal.SIGTERM)
            return
        logger.warning(
            "SIGHUP is ignored: a server of one process has no other to take its requests; start "
            "it with --workers 2 or more to have workers replaced"
        )

    signal.signal(signal.SIGHUP, handler)


def reset_signals() -> None:
    """Undoes what the parent of a server did to its signals; to be called before anything else.

    A process inherits which signals are blocked and ignored: with SIGTERM blocked it could not be
    stopped, with SIGCHLD ignored a supervisor would not learn that a worker has ended. SIGHUP stays
    as it is, because `nohup` ignores it on purpose. PID 1 of a container ignores SIGTERM unless it
    has a handler, also while models load.
    """
    signal.signal(signal.SIGTERM, StopLoading())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def announce(listener: socket.socket, scheme: str = "http") -> Heartbeat:
    """A heartbeat that says once that the server is ready."""
    url = format_url(listener, scheme)
    lines = [f"seqserve is ready on {url} (documentation: {url}/docs)"]

    def heartbeat() -> None:
        if lines:
            print(lines.pop(), flush=True)

    return heartbeat
