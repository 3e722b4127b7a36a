import asyncio

import pytest

from service.server.corked_transport import CorkedTransport


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert "end" not in map(bytes.decode, self.sent)
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.sent.append(b"end")

    def is_closing(self) -> bool:
        return b"end" in self.sent


@pytest.fixture
async def corked() -> tuple[CorkedTransport, FakeTransport]:
    transport = FakeTransport()
    return CorkedTransport(transport, asyncio.get_running_loop()), transport


Pair = tuple[CorkedTransport, FakeTransport]


async def test_head_and_body_are_sent_together(corked: Pair) -> None:
    transport, inner = corked
    transport.write(b"head")
    assert inner.sent == []
    transport.write(b"body")
    assert inner.sent == [b"headbody"]


async def test_head_alone_is_sent_in_the_next_turn_of_the_loop(corked: Pair) -> None:
    transport, inner = corked
    transport.write(b"head")
    await asyncio.sleep(0)
    assert inner.sent == [b"head"]
    transport.write(b"first")
    await asyncio.sleep(0)
    assert inner.sent == [b"head", b"first"]


async def test_order_is_kept_whatever_comes_between(corked: Pair) -> None:
    transport, inner = corked
    parts = [bytes([byte]) for byte in range(50)]
    for number, part in enumerate(parts):
        transport.write(part)
        if number % 7 == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert b"".join(inner.sent) == b"".join(parts)


async def test_closing_sends_what_is_held_first(corked: Pair) -> None:
    transport, inner = corked
    transport.write(b"head")
    transport.close()
    await asyncio.sleep(0)
    assert inner.sent == [b"head", b"end"]
    assert transport.is_closing()  # what it does not have itself is the other's
