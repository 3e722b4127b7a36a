"""Refusals at the door, through a real server, beside those of the endpoints."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from service.errors import Overloaded
from service.http.door import render
from service.server.arrival import IS_KNOWN
from tests.fakes import make_backlog, read_metric
from tests.service.http.fakes import MANIFEST, FakeRegistry
from tests.service.server.live import Live, Received, read_answer, run_live

BODY = b'{"inputs": "good", "q": "good", "source": "en", "target": "de"}'
NEXT = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
# The endpoint refuses then: such a path is not looked at by the door.
BY_ENDPOINT = b"?"
ID = b"X-Request-ID: mine\r\n"

needs_linux = pytest.mark.skipif(not IS_KNOWN, reason="the kernel does not tell")


@asynccontextmanager
async def run_slow(wait_seconds: float = 0.7, **settings: Any) -> AsyncIterator[Live]:
    """A server with a queue whose limit is half a second."""
    async with run_live(**settings) as running:
        metrics = running.server.context.metrics
        running.pipeline.queue = make_backlog(wait_seconds, metrics=metrics)
        yield running


@pytest.fixture
async def live() -> AsyncIterator[Live]:
    async with run_slow() as running:
        yield running


@pytest.fixture
def sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No request waits in its socket, however busy the machine is."""
    monkeypatch.setattr("service.server.protocol.measure_age", lambda _connection: 0.0)


def post(path: bytes = b"/classify", headers: bytes = ID, body: bytes = BODY) -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s" % (
        path,
        headers,
        len(body),
        body,
    )


async def ask(live: Live, request: bytes) -> Received:
    reader, writer = await live.open()
    writer.write(request)
    answer = await read_answer(reader)
    writer.close()
    return answer


def count_refused(live: Live, reason: str) -> float:
    metrics = live.server.context.metrics
    return read_metric(metrics, "shed_total", model="slow", reason=reason)


async def compare(live: Live, path: bytes, headers: bytes) -> Received:
    """The door's answer, which is the endpoint's to the byte."""
    at_the_door = await ask(live, post(path, headers))
    by_the_endpoint = await ask(live, post(path + BY_ENDPOINT, headers))
    for answer in (at_the_door, by_the_endpoint):
        answer.headers.pop("date")
    assert list(at_the_door.headers.items()) == list(by_the_endpoint.headers.items())
    assert at_the_door == by_the_endpoint
    return at_the_door


@pytest.mark.usefixtures("sent_at_once")
@pytest.mark.parametrize("path", [b"/classify", b"/predict", b"/translate", b"/", b"/models/tiny"])
@pytest.mark.parametrize("headers", [ID, ID + b"Accept-Encoding: gzip\r\n"])
async def test_refusal_is_that_of_the_endpoint(path: bytes, headers: bytes, live: Live) -> None:
    answer = await compare(live, path, headers)

    assert answer.status == 429
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["x-request-id"] == "mine"
    assert answer.headers["content-type"] == "application/problem+json"
    assert b"model slow is predicted to be 0.7 s, above the limit of 0.5 s" in answer.body
    assert live.pipeline.calls == []


def test_refusal_is_in_the_words_of_the_wire_that_was_spoken() -> None:
    error = Overloaded("busy", 1.2, "wait")
    plain, completions = (
        json.loads(render(path, error).body) for path in ("/tag", "/v1/completions")
    )
    assert plain["error"] == "busy"
    assert completions["error"]["message"] == "busy"
    assert b"retry-after: 2\r\n" in render("/tag", error).headers


@pytest.mark.usefixtures("sent_at_once")
async def test_pages_of_other_origins_can_read_refusals() -> None:
    async with run_slow(cors_origins="*") as live:
        answer = await compare(live, b"/classify", ID + b"Origin: http://elsewhere\r\n")
        assert (await compare(live, b"/classify", ID)).headers["vary"] == "Origin"
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.usefixtures("sent_at_once")
async def test_paths_below_a_prefix_are_refused_like_those_without() -> None:
    async with run_slow(root_path="/tools") as live:
        await compare(live, b"/tools/classify", ID)
        await compare(live, b"/classify", ID)
        await compare(live, b"/tools/", ID)
        await compare(live, b"/tools/models/tiny", ID)


@pytest.mark.parametrize("path", [b"/models/other", b"/models/a/tiny", b"/models/", b"/models"])
async def test_what_is_no_model_is_not_refused(path: bytes, live: Live) -> None:
    assert (await ask(live, post(path))).status in (404, 405)


async def test_server_without_a_default_task_says_so_even_if_it_is_busy() -> None:
    async with run_slow() as live:
        registry = cast(FakeRegistry, live.server.context.registry)
        translator = MANIFEST.model_copy(update={"task": "translation"})
        registry.manifests = (MANIFEST, translator)
        assert (await ask(live, post(b"/"))).status == 404


async def test_each_refusal_has_an_id_of_its_own(live: Live) -> None:
    answers = [await ask(live, post(headers=b"")) for _ in range(2)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == 2
    assert all(len(each) == 32 for each in ids)


async def test_pipelined_requests_are_answered_in_their_order(live: Live) -> None:
    reader, writer = await live.open()
    requests = [post(), NEXT, post(), post(b"/translate"), NEXT, post(b"/no-such-route")]
    writer.write(b"".join(requests))
    statuses = [(await read_answer(reader)).status for _ in requests]
    assert statuses == [429, 200, 429, 429, 200, 404]
    writer.close()


async def test_thousands_of_pipelined_requests_are_all_refused(live: Live) -> None:
    reader, writer = await live.open()
    num_requests = 3000
    writer.write(post() * num_requests)
    await asyncio.sleep(0.2)  # the server's answers fill the buffers
    for _ in range(num_requests):
        assert (await read_answer(reader)).status == 429
    writer.close()


@pytest.mark.parametrize("step", [1, 7, 50])
async def test_body_in_pieces_is_thrown_away(step: int, live: Live) -> None:
    reader, writer = await live.open()
    data = post() + post(b"/translate") + NEXT
    for start in range(0, len(data), step):
        writer.write(data[start : start + step])
        await asyncio.sleep(0)
    assert [(await read_answer(reader)).status for _ in range(3)] == [429, 429, 200]
    writer.close()


async def test_refusal_does_not_wait_for_the_body(live: Live) -> None:
    reader, writer = await live.open()
    head, _, body = post().partition(b"\r\n\r\n")
    writer.write(head + b"\r\n\r\n")
    assert (await read_answer(reader)).status == 429
    writer.write(body + NEXT)
    assert (await read_answer(reader)).status == 200
    writer.close()


@pytest.mark.parametrize(
    ("headers", "version", "connection"),
    [
        (b"Connection: close\r\n", b"1.1", "close"),
        (b"", b"1.0", "close"),
        (b"Expect: 100-continue\r\n", b"1.1", None),
        (b"Connection: Upgrade\r\nUpgrade: h2c\r\n", b"1.1", None),
    ],
)
async def test_unusual_requests_are_refused_by_the_endpoint(
    headers: bytes, version: bytes, connection: str | None, live: Live
) -> None:
    answer = await ask(live, post(headers=headers).replace(b"HTTP/1.1", b"HTTP/" + version))
    assert (answer.status, answer.headers.get("connection")) == (429, connection)


@pytest.mark.parametrize("path", [b"/livez", b"/readyz", b"/metrics", b"/languages", b"/docs"])
async def test_what_asks_no_model_is_never_refused(path: bytes, live: Live) -> None:
    request = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path
    assert (await ask(live, request)).status == 200


@pytest.mark.usefixtures("sent_at_once")
async def test_requests_are_let_in_while_the_wait_is_short() -> None:
    async with run_slow(wait_seconds=0.3) as live:
        assert (await ask(live, post())).status == 200
        reader, writer = await live.open()
        writer.write(post(body=b'{"inputs": 1}'))
        assert (await read_answer(reader)).status == 422
        writer.close()


@pytest.mark.usefixtures("sent_at_once")
async def test_deadline_in_the_header_is_looked_at() -> None:
    async with run_slow(wait_seconds=0.3) as live:
        answer = await ask(live, post(headers=b"X-Request-Timeout-Ms: 200\r\n"))
        assert (answer.status, b"the deadline is in 0.2 s" in answer.body) == (429, True)
        assert (await ask(live, post(headers=b"X-Request-Timeout-Ms: 400\r\n"))).status == 200
        assert (await ask(live, post(headers=b"X-Request-Timeout-Ms: soon\r\n"))).status == 422
        assert count_refused(live, "deadline") == 1


async def ask_held_up(live: Live, request: bytes, seconds: float) -> Received:
    """Sends on an open connection while the loop, the server's too, is busy for some seconds."""
    reader, writer = await live.open()
    writer.write(NEXT)
    await read_answer(reader)
    writer.write(request)  # sent at once
    time.sleep(seconds)  # noqa: ASYNC251 - that is the point
    answer = await read_answer(reader)
    writer.close()
    return answer


@needs_linux
async def test_time_in_the_socket_counts() -> None:
    async with run_slow(wait_seconds=0.3) as live:
        answer = await ask_held_up(live, post(), seconds=0.35)
        assert (answer.status, count_refused(live, "age")) == (429, 1)


@needs_linux
async def test_deadline_counts_from_the_arrival() -> None:
    async with run_slow(wait_seconds=0.1) as live:
        request = post(headers=b"X-Request-Timeout-Ms: 5000\r\n")
        assert (await ask_held_up(live, request, seconds=0.3)).status == 200
        assert live.pipeline.remaining_seconds == pytest.approx(4.7, abs=0.15)


@pytest.mark.usefixtures("sent_at_once")
async def test_refusals_are_counted_and_logged_together(
    live: Live, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.http.door.REPORT_SECONDS", 0.2)
    caplog.set_level(logging.INFO)
    reader, writer = await live.open()
    writer.write(post() * 5)
    for _ in range(5):
        await read_answer(reader)
    writer.close()
    await asyncio.sleep(0.3)

    assert count_refused(live, "wait") == 5
    metrics = live.server.context.metrics
    assert read_metric(metrics, "requests_total", model="none", outcome="overloaded") == 5
    assert [message for message in caplog.messages if "refused" in message] == [
        "5 requests were refused within a second: their models are too slow for so many"
    ]
    assert "request" not in caplog.messages


async def test_server_that_drains_asks_refused_clients_to_close(live: Live) -> None:
    live.server.context.is_draining = True
    answer = await ask(live, post())
    assert (answer.status, answer.headers["connection"]) == (429, "close")


async def test_worker_that_retires_does_so_too(live: Live) -> None:
    reader, writer = await live.open()
    writer.write(NEXT)
    await read_answer(reader)
    live.server._retire()
    writer.write(post())
    answer = await read_answer(reader)
    assert (answer.status, answer.headers["connection"]) == (429, "close")
    assert await reader.read() == b""
    writer.close()
