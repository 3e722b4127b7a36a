import asyncio
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from service.server.fair_listener import (
    DEFER_SECONDS,
    MAX_ACCEPTS,
    MAX_DEFERRALS,
    SLACK,
    FairListener,
    OpenConnections,
)
from service.server.listener import open_listener
from service.telemetry.shared_metrics import MetricsSegment

WAIT_SECONDS = 20.0

OpenWorker = Callable[[list[MetricsSegment], int], FairListener]


class Connection(asyncio.Protocol):
    """Counts itself among the connections of its server, as uvicorn's do."""

    connections: OpenConnections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections.discard(self)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with open_listener("127.0.0.1", 0) as listener:
        yield listener


@pytest.fixture
def open_worker(listener: socket.socket) -> Iterator[OpenWorker]:
    """Opens what accepts in one of the workers, which all live in this process."""
    with ExitStack() as stack:

        def open_worker(segments: list[MetricsSegment], place: int) -> FairListener:
            def make_protocol() -> Connection:
                connection = Connection()
                connection.connections = worker.connections
                return connection

            own = stack.enter_context(listener.dup())
            worker = FairListener(own, make_protocol, None, 100, segments, place)
            return worker

        yield open_worker


async def connect(listener: socket.socket, count: int) -> list[asyncio.StreamWriter]:
    host, port = listener.getsockname()
    return [(await asyncio.open_connection(host, port))[1] for _ in range(count)]


async def wait_until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():  # noqa: ASYNC110 - it also looks at memory that processes share
            await asyncio.sleep(0.001)


async def close_all(workers: list[FairListener], clients: list[asyncio.StreamWriter]) -> None:
    for client in clients:
        client.close()
    await wait_until(lambda: not any(worker.connections for worker in workers))
    for worker in workers:
        worker.close()


async def test_workers_take_turns(listener: socket.socket, open_worker: OpenWorker) -> None:
    segments = [MetricsSegment() for _ in range(3)]  # no worker has the last one
    workers = [open_worker(segments, place) for place in range(2)]
    clients = await connect(listener, 20)
    await wait_until(lambda: sum(len(worker.connections) for worker in workers) == 20)

    numbers = [len(worker.connections) for worker in workers]
    assert abs(numbers[0] - numbers[1]) <= SLACK + 1
    await wait_until(lambda: [segment.num_connections for segment in segments] == [*numbers, None])
    await close_all(workers, clients)


async def test_connections_that_end_count_no_more(
    listener: socket.socket, open_worker: OpenWorker
) -> None:
    segments = [MetricsSegment()]
    worker = open_worker(segments, 0)
    clients = await connect(listener, 3)
    await wait_until(lambda: segments[0].num_connections == 3)
    clients.pop().close()
    await wait_until(lambda: segments[0].num_connections == 2)
    await close_all([worker], clients)


async def test_worker_that_stands_still_holds_up_the_others_once(
    listener: socket.socket, open_worker: OpenWorker
) -> None:
    segments = [MetricsSegment() for _ in range(2)]
    segments[1].num_connections = 0  # accepts, it says
    worker = open_worker(segments, 0)
    started_at = time.monotonic()
    clients = await connect(listener, 200)
    await wait_until(lambda: len(worker.connections) == 200)
    seconds = time.monotonic() - started_at

    assert seconds < 100 * DEFER_SECONDS * MAX_DEFERRALS  # half of what it were for each of them
    await close_all([worker], clients)


async def test_closed_worker_leaves_connections_to_the_others(
    listener: socket.socket, open_worker: OpenWorker
) -> None:
    segments = [MetricsSegment() for _ in range(2)]
    first, second = (open_worker(segments, place) for place in range(2))
    clients = await connect(listener, 4)
    await wait_until(lambda: len(first.connections) + len(second.connections) == 4)
    first.close()
    num_first = len(first.connections)
    clients += await connect(listener, 8)
    await wait_until(lambda: len(first.connections) + len(second.connections) == 12)

    assert len(first.connections) == num_first
    assert segments[0].num_connections is None
    await close_all([second], clients)


async def test_connection_is_taken_once_there_are_file_descriptors_again(
    listener: socket.socket, open_worker: OpenWorker, caplog: pytest.LogCaptureFixture
) -> None:
    worker = open_worker([MetricsSegment()], 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    client = socket.socket()
    client.setblocking(False)
    resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))
    try:
        await asyncio.get_running_loop().sock_connect(client, listener.getsockname())
        await wait_until(lambda: "cannot accept connections" in caplog.text)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await wait_until(lambda: len(worker.connections) == 1)

    assert caplog.text.count("cannot accept connections") == 1
    client.close()
    worker.close()


async def test_several_connections_are_taken_in_one_turn(
    listener: socket.socket, open_worker: OpenWorker
) -> None:
    """Under load a turn of the event loop is long, and health checks come on new connections."""
    worker = open_worker([MetricsSegment()], 0)
    clients = [socket.create_connection(listener.getsockname()) for _ in range(MAX_ACCEPTS + 2)]
    worker._accept()  # the kernel has made all of them; the loop has had no turn

    assert worker._num_connections == MAX_ACCEPTS
    await wait_until(lambda: len(worker.connections) == len(clients))
    for client in clients:
        client.close()
    await close_all([worker], [])
