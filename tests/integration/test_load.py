"""Many clients at once over real sockets: some hang up, some are refused, none is mixed up."""

import asyncio
import json
import random
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.integration.server import MODELS_DIR, Server, read_metric, run_server, wait_until

WAIT_SECONDS = 10.0

LONG_TEXT = "A man in a blue shirt is standing on a ladder cleaning a window. " * 100
SUBJECTS = ("A man", "A woman", "Two dogs", "A little girl in a pink dress", "Three children")
DOINGS = ("is sleeping.", "riding a bicycle down the street.", "on the beach.", "in the snow.")
CAPTIONS = [f"{subject} {doing}" for subject in SUBJECTS for doing in DOINGS]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """In float32 arithmetic, so that neighbours in a batch do not change an answer's digits."""
    flags = ("--precision", "w8", "--log-level", "warning")
    with run_server(MODELS_DIR, tmp_path_factory.mktemp("server") / "log", *flags) as running:
        yield running


def format_request(path: str, body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def address_of(server: Server) -> tuple[str, int]:
    parts = urlsplit(server.url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_who_hangs_up_leaves_queue_and_slots(server: Server, *, stream: bool) -> None:
    body = {"q": LONG_TEXT, "source": "en", "target": "de", "stream": stream}
    model = "translation-en-de"
    with server.open_client() as client:
        cancelled = read_metric(client, "seqserve_requests_total", outcome="cancelled")
        connections = [socket.create_connection(address_of(server)) for _ in range(4)]
        for connection in connections:
            connection.sendall(format_request("/translate", body))
        wait_until(
            lambda: read_metric(client, "seqserve_queue_requests", model=model) > 100, WAIT_SECONDS
        )
        for connection in connections:
            connection.close()
        wait_until(lambda: read_metric(client, "seqserve_queue_requests", model=model) == 0, 3.0)
        started = time.monotonic()
        client.post("/translate", json={"q": "A man.", "source": "en", "target": "de"})

        assert time.monotonic() - started < 2.0
        wait_until(
            lambda: read_metric(client, "seqserve_running_sequences", model=model) == 0,
            WAIT_SECONDS,
        )
        ended = read_metric(client, "seqserve_requests_total", outcome="cancelled") - cancelled
        assert ended == len(connections)


@dataclass
class Reply:
    status: int
    retry_after: int
    body: str


async def send_request(
    address: tuple[str, int], request: bytes, patience: float = 60.0
) -> Reply | None:
    """The answer; None where patience ended first and the client hung up."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        async with asyncio.timeout(patience):
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
            body = await reader.readexactly(int(headers["content-length"]))
            retry_after = int(headers.get("retry-after", "0"))
            return Reply(int(head.split()[1]), retry_after, body.decode())
    except TimeoutError:
        return None
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def send_storm(server: Server, num_requests: int) -> list[tuple[str, Reply | None]]:
    """Captions and the answers to them, from 64 clients of whom many are impatient."""
    rng, gate = random.Random(5), asyncio.Semaphore(64)

    async def ask() -> tuple[str, Reply | None]:
        text, beam_size = rng.choice(CAPTIONS), rng.choice([1, 1, 1, 2, 4])
        body = {"q": text, "source": "en", "target": "de", "beam_size": beam_size}
        patience = rng.choice([60.0, 60.0, 60.0, rng.random() * 0.2])
        async with gate:
            request = format_request("/translate", body)
            return f"{beam_size} {text}", await send_request(address_of(server), request, patience)

    return await asyncio.gather(*(ask() for _ in range(num_requests)))


def test_storm_with_hang_ups_answers_everybody_else_rightly(server: Server) -> None:
    with server.open_client() as client:
        expected = {}
        for beam_size in (1, 2, 4):
            for text in CAPTIONS:
                body = {"q": text, "source": "en", "target": "de", "beam_size": beam_size}
                expected[f"{beam_size} {text}"] = client.post("/translate", json=body).json()

        answers = asyncio.run(send_storm(server, 2000))

        kinds = Counter(answer is None for _, answer in answers)
        assert kinds[True] > 20
        assert kinds[False] > 1000
        for key, answer in answers:
            assert answer is None or json.loads(answer.body) == expected[key]
        wait_until(lambda: read_metric(client, "seqserve_running_sequences") == 0, WAIT_SECONDS)
        assert read_metric(client, "seqserve_queue_requests") == 0
        assert client.get("/readyz").status_code == httpx.codes.OK
    assert "Traceback" not in server.read_log()


def test_overload_is_refused_with_a_time_and_the_rest_is_answered(tmp_path: Path) -> None:
    waits = ("--max-queue-wait-ms", "100", "--max-standing-wait-ms", "100")
    flags = (*waits, "--log-level", "warning")
    request = format_request("/translate", {"q": LONG_TEXT[:700], "source": "en", "target": "de"})

    async def flood(server: Server) -> list[Reply]:
        address = address_of(server)
        first = [asyncio.create_task(send_request(address, request)) for _ in range(150)]
        await asyncio.sleep(1.0)  # by now the server knows how fast it is
        second = [asyncio.create_task(send_request(address, request)) for _ in range(50)]
        return [reply for reply in await asyncio.gather(*first, *second) if reply]

    with run_server(MODELS_DIR, tmp_path / "log", *flags) as server, server.open_client() as client:
        replies = asyncio.run(flood(server))
        shed = [reply for reply in replies if reply.status == httpx.codes.TOO_MANY_REQUESTS]

        assert len(replies) == 200
        assert {reply.status for reply in replies} == {200, 429}
        assert len(shed) > 20
        assert all(1 <= reply.retry_after <= 60 for reply in shed)
        assert read_metric(client, "seqserve_shed_total", reason="wait") == len(shed)
        again = {"q": "A man.", "source": "en", "target": "de"}
        assert client.post("/translate", json=again).status_code == httpx.codes.OK
