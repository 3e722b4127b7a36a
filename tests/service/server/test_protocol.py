import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest

from service.server.protocol import format_head
from tests.service.server.live import Live, read_answer, run_live

BODY = b'{"inputs": "good"}'
LABELS = [[{"label": "positive", "score": 0.75}, {"label": "negative", "score": 0.25}]]
CHUNKS = b"5\r\n" + BODY[:5] + b"\r\n" + b"%x\r\n" % len(BODY[5:]) + BODY[5:] + b"\r\n0\r\n\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAA\r\n"
WEBSOCKET = (
    b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
)
NEXT = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    async with run_live(keep_alive_seconds=1) as running:
        yield running


def post(body: bytes, headers: bytes, version: bytes = b"1.1", path: bytes = b"/classify") -> bytes:
    """A request whose headers say how its body is framed."""
    return b"POST %s HTTP/%s\r\nHost: x\r\n%s\r\n%s" % (path, version, headers, body)


SIZED = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize("upgrade", [H2C, WEBSOCKET])
@pytest.mark.parametrize(("framing", "sent"), [(SIZED, BODY), (CHUNKED, CHUNKS)])
@pytest.mark.parametrize("step", [1, 7, 10_000])
async def test_request_with_an_upgrade_is_served_and_so_is_the_next(
    upgrade: bytes, framing: bytes, sent: bytes, step: int, live: Live
) -> None:
    reader, writer = await live.open()
    data = post(sent, upgrade + framing) + post(sent, framing + upgrade) + NEXT
    for start in range(0, len(data), step):
        writer.write(data[start : start + step])
        await asyncio.sleep(0)
    for _ in range(2):
        answer = await read_answer(reader)
        assert (answer.status, json.loads(answer.body)) == (200, LABELS)
    assert (await read_answer(reader)).status == 200
    writer.close()


async def test_thousands_of_upgrades_may_arrive_at_once(live: Live) -> None:
    reader, writer = await live.open()
    num_requests = 2000
    writer.write(b"GET /livez HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" * num_requests)
    for _ in range(num_requests):
        assert (await read_answer(reader)).status == 200
    writer.close()


async def test_upgrade_without_a_body_is_answered_and_so_is_the_next(live: Live) -> None:
    reader, writer = await live.open()
    writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + WEBSOCKET + b"\r\n" + NEXT)
    assert (await read_answer(reader)).status == 200
    assert (await read_answer(reader)).status == 200
    writer.close()


async def test_connection_of_an_upgrade_that_asks_to_close_is_closed(live: Live) -> None:
    reader, writer = await live.open()
    writer.write(post(BODY, SIZED + b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n"))
    answer = await read_answer(reader)
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert await asyncio.wait_for(reader.read(), 10.0) == b""
    writer.close()


async def test_body_of_an_upgrade_may_be_waited_for(live: Live) -> None:
    reader, writer = await live.open()
    writer.write(post(b"", SIZED + H2C + b"Expect: 100-continue\r\n"))
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(BODY)
    assert json.loads((await read_answer(reader)).body) == LABELS
    writer.close()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n" + NEXT, 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (post(b"zz\r\n", CHUNKED + H2C), 400),
        (post(BODY, SIZED + SIZED + H2C), 400),
        (post(BODY, SIZED + CHUNKED + H2C), 400),
    ],
)
async def test_what_is_no_request_is_refused_without_a_line_in_the_log(
    data: bytes, status: int, live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    reader, writer = await live.open()
    writer.write(data)
    assert (await read_answer(reader)).status == status
    writer.close()
    assert caplog.messages == []


async def test_url_that_is_too_long_is_named(live: Live) -> None:
    reader, writer = await live.open()
    writer.write(post(b"", b"Content-Length: 0\r\n", path=b"/translate?q=" + b"a" * 65_536))
    answer = await read_answer(reader)
    assert (answer.status, b"more than 65535 bytes" in answer.body) == (400, True)
    writer.close()


async def test_upgrade_leaves_no_warning_in_the_log(
    live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    reader, writer = await live.open()
    writer.write(post(BODY, SIZED + WEBSOCKET))
    await read_answer(reader)
    writer.close()
    assert caplog.messages == []


STREAM = b'{"q": "two dogs", "source": "en", "target": "de", "stream": true}'


async def test_stream_to_an_older_client_ends_with_the_connection(live: Live) -> None:
    reader, writer = await live.open()
    framing = b"Content-Length: %d\r\nConnection: keep-alive\r\n" % len(STREAM)
    writer.write(post(STREAM, framing, b"1.0", b"/translate"))
    answer = await read_answer(reader)
    assert "transfer-encoding" not in answer.headers
    assert answer.headers["connection"] == "close"
    assert answer.body.startswith(b"event: token\ndata: ")
    assert answer.body.endswith(b'{"translatedText":"TWO DOGS"}\n\n')
    writer.close()


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_answer_of_known_length_to_an_older_client_says_it(method: bytes, live: Live) -> None:
    reader, writer = await live.open()
    writer.write(method + b" /livez HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    assert b"content-length: 17" in answer
    assert answer.endswith(b'{"status":"live"}' if method == b"GET" else b"\r\n\r\n")
    writer.close()


async def test_stream_to_a_newer_client_comes_in_chunks(live: Live) -> None:
    reader, writer = await live.open()
    writer.write(post(STREAM, b"Content-Length: %d\r\n" % len(STREAM), path=b"/translate"))
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"transfer-encoding: chunked\r\n" in head
    writer.close()


async def wait_closed(reader: asyncio.StreamReader) -> None:
    """Passes once the server has closed; the keep-alive of these tests is a second."""
    assert await asyncio.wait_for(reader.read(), 10.0) == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"POST /classify HT",
        NEXT,
        post(b"", SIZED, path=b"/no-such-route"),
        post(BODY, SIZED, path=b"/no-such-route") + b"GET",
    ],
)
async def test_connection_on_which_nothing_arrives_is_closed(data: bytes, live: Live) -> None:
    reader, writer = await live.open()
    writer.write(data)
    if data.startswith((NEXT, b"POST /classify HTTP", b"POST /no")):
        await read_answer(reader)
    await wait_closed(reader)
    writer.close()


async def test_connection_with_a_running_request_is_not_closed(live: Live) -> None:
    live.pipeline.gate = asyncio.Event()
    reader, writer = await live.open()
    writer.write(post(BODY, SIZED))
    await asyncio.sleep(1.5)
    live.pipeline.gate.set()
    assert (await read_answer(reader)).status == 200
    writer.close()


async def test_request_that_arrives_slowly_is_answered(live: Live) -> None:
    reader, writer = await live.open()
    writer.write(NEXT)
    await read_answer(reader)
    for part in (b"GET /livez", b" HTTP/1.1\r\n", b"Host: x\r\n", b"\r\n"):
        await asyncio.sleep(0.6)
        writer.write(part)
    assert (await read_answer(reader)).status == 200
    writer.close()


async def test_connection_with_unread_bytes_is_not_closed_in_time(live: Live) -> None:
    """Bytes that arrive while the loop is busy are still in the socket when the time is up."""
    reader, writer = await live.open()
    writer.write(NEXT)
    await read_answer(reader)
    (protocol,) = live.server.server_state.connections
    writer.write(NEXT)  # sent at once; the server's side of the loop has had no turn to read it
    protocol.timeout_keep_alive_handler()  # type: ignore[union-attr]
    assert (await read_answer(reader)).status == 200
    writer.close()


def test_head_for_the_body_has_what_frames_it_alone() -> None:
    headers = [(b"host", b"x"), (b"connection", b"upgrade"), (b"upgrade", b"h2c")]
    headers += [(b"content-length", b"3")]
    head = b"POST / HTTP/1.1\r\nconnection: upgrade\r\ncontent-length: 3\r\n\r\n"
    assert format_head("1.1", headers) == head
