import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from service.transport.link import HIGH_WATER_BYTES, Link


class End:
    """One end, which remembers what it was told."""

    def __init__(self, *, waits_for_reader: bool = False) -> None:
        self.heard: list[object] = []
        self.lost = asyncio.Event()
        handlers: dict[str, Callable[..., None]] = {"say": self.heard.append}
        self.link = Link(handlers, self.lost.set, waits_for_reader=waits_for_reader)

    async def hear(self, count: int) -> list[object]:
        deadline = time.monotonic() + 20.0
        while len(self.heard) < count:
            assert time.monotonic() < deadline, f"heard only {len(self.heard)}"
            await asyncio.sleep(0.001)
        return self.heard


@asynccontextmanager
async def connect(*, waits_for_reader: bool = False) -> AsyncIterator[tuple[End, End]]:
    one, other = End(waits_for_reader=waits_for_reader), End()
    loop = asyncio.get_running_loop()
    for end, connection in zip((one, other), socket.socketpair(), strict=True):
        connection.setblocking(False)
        await loop.create_unix_connection(lambda end=end: end.link, sock=connection)  # type: ignore[misc]
    try:
        yield one, other
    finally:
        for end in (one, other):
            end.link.close()


async def test_messages_arrive_in_their_order() -> None:
    async with connect() as (one, other):
        for number in range(100):
            one.link.send(("say", number))
            if number % 7 == 0:
                await asyncio.sleep(0)
        assert await other.hear(100) == list(range(100))


async def test_messages_of_one_turn_are_written_at_once() -> None:
    class CountingTransport(asyncio.Transport):
        num_writes = 0

        def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
            pass

        def write(self, data: object) -> None:
            self.num_writes += 1

    link = Link({}, lambda: None, waits_for_reader=False)
    transport = CountingTransport()
    link.connection_made(transport)
    for turn in range(3):
        for number in range(10):
            link.send(("say", turn, number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert transport.num_writes == 3


@pytest.mark.parametrize("num_bytes", [0, 10, 300_000, 3 * HIGH_WATER_BYTES])
async def test_messages_of_any_size_arrive_whole(num_bytes: int) -> None:
    async with connect() as (one, other):
        one.link.send(("say", b"x" * num_bytes))
        one.link.send(("say", "end"))
        assert await other.hear(2) == [b"x" * num_bytes, "end"]


async def test_no_message_of_other_threads_is_lost() -> None:
    num_threads, num_messages = 4, 2000

    def talk(link: Link, thread: int) -> None:
        for number in range(num_messages):
            link.send(("say", (thread, number)))

    async with connect() as (one, other):
        threads = [
            threading.Thread(target=talk, args=(one.link, number)) for number in range(num_threads)
        ]
        for thread in threads:
            thread.start()
        heard = await other.hear(num_threads * num_messages)
        for thread in threads:
            thread.join()
    for number in range(num_threads):
        assert [message for message in heard if message[0] == number] == [  # type: ignore[index]
            (number, place) for place in range(num_messages)
        ]


async def test_an_end_that_is_not_read_from_reads_no_more_itself() -> None:
    async with connect(waits_for_reader=True) as (one, other):
        assert other.link._transport is not None
        other.link._transport.pause_reading()
        one.link.send(("say", b"x" * 2 * HIGH_WATER_BYTES))
        await asyncio.sleep(0.05)
        assert one.link.is_backed_up
        other.link.send(("say", "more"))
        await asyncio.sleep(0.05)
        assert one.heard == []

        other.link._transport.resume_reading()
        await other.hear(1)
        assert await one.hear(1) == ["more"]
        assert not one.link.is_backed_up


async def test_both_ends_learn_of_the_end() -> None:
    async with connect() as (one, other):
        one.link.send(("say", "last"))
        one.link.close()
        async with asyncio.timeout(5.0):
            await one.lost.wait()
            await other.lost.wait()
        assert other.heard == ["last"]
        other.link.send(("say", "too late"))  # it is dropped, and nothing is raised


def test_a_thread_may_speak_after_the_loop_has_ended() -> None:
    async def make_link() -> Link:
        return Link({}, lambda: None, waits_for_reader=False)

    link = asyncio.run(make_link())
    failures: list[BaseException] = []

    def talk() -> None:
        try:
            link.send(("say", 1))
        except BaseException as exc:
            failures.append(exc)

    thread = threading.Thread(target=talk)
    thread.start()
    thread.join()
    assert failures == []
