"""Both ways to classify: requests go to a server with the direct one and to one without it.

Whatever a client sends, it gets the same status, headers and body, to the byte, and metrics and log
say the same of it.
"""

import asyncio
import contextlib
import gzip
import json
import logging
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from service.engine.batch import Result, TokenSequence
from service.engine.runner import Runner
from service.http.app import SeqserveApp, create_app
from service.http.direct import DirectClassify, DirectExchange, Headers
from service.http.door import Door
from service.server.listener import open_listener
from service.server.protocol import HttpProtocol
from service.server.uvicorn_server import GracefulServer, make_config, serve_app
from service.settings import Settings
from tests.signals import usual_signals

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
JSON = b"Content-Type: application/json\r\n"
ID = b"X-Request-ID: mine\r\n"
GOOD = {"inputs": "좋은 영화"}
# Of the parts of an answer that differ from one request to the next.
VARYING = [
    (re.compile(rb"(?<=\r\ndate: )[^\r]+"), b"DATE"),
    (re.compile(rb"(?<=\r\nx-request-id: )[0-9a-f]{32}"), b"ID"),
    (re.compile(rb"(?<=;dur=)[0-9.]+"), b"MS"),
    (re.compile(rb"[0-9.]+(?= s in the queue)"), b"SECONDS"),
]
COUNTED = re.compile(r"seqserve_.*(_total|_count)$|seqserve_batch_rows_sum$")


class CountingDirect(DirectClassify):
    """Tells which requests it has taken."""

    num_taken = 0

    def take(
        self, headers: Headers, body: bytes, started_at: float, age_seconds: float
    ) -> DirectExchange | None:
        taken = super().take(headers, body, started_at, age_seconds)
        self.num_taken += taken is not None
        return taken


@dataclass
class Way:
    """A server in this process; `direct` is None if it has the app answer everything."""

    app: SeqserveApp
    server: GracefulServer
    port: int
    direct: CountingDirect | None
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer

    async def hang_up(self) -> None:
        """Closes all connections."""
        while self.writers:
            writer = self.writers.pop()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def count(self) -> dict[str, float]:
        """All counters, by name and labels."""
        return {
            f"{sample.name}{sorted(sample.labels.items())}": sample.value
            for metric in self.app.context.metrics.registry.collect()
            for sample in metric.samples
            if COUNTED.match(sample.name)
        }


@asynccontextmanager
async def run_way(app: SeqserveApp, *, is_direct: bool) -> AsyncIterator[Way]:
    settings, is_listening = app.context.settings, asyncio.Event()
    direct = CountingDirect(app.context) if is_direct else None
    config = make_config(app, settings)
    config.http = partial(HttpProtocol, Door(app.context), direct)  # type: ignore[assignment]
    listener = open_listener("127.0.0.1", 0)
    with usual_signals():
        server = GracefulServer(config, app.context, 0.0, is_listening.set)
        task = asyncio.create_task(serve_app(app, server, listener))
        await asyncio.wait_for(is_listening.wait(), 120.0)
        way = Way(app, server, listener.getsockname()[1], direct)
        yield way
        await way.hang_up()
        server.should_exit = True
        await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 120.0)


@dataclass(frozen=True)
class Seen:
    """What a client sees, and what the server says of it."""

    answers: list[bytes]
    is_open: bool
    counted: dict[str, float]
    logged: list[tuple[object, ...]]


async def read_raw(reader: asyncio.StreamReader) -> bytes:
    """The next answer as it came, but for what varies; nothing at the end of the connection."""
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10.0)
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
    length = re.search(rb"\r\ncontent-length: (\d+)", head)
    body = await reader.readexactly(int(length[1])) if length else b""
    answer = head + body
    for pattern, word in VARYING:
        answer = pattern.sub(word, answer)
    return answer


async def watch(
    way: Way, caplog: pytest.LogCaptureFixture, data: bytes, num_answers: int, step: int
) -> Seen:
    """Sends bytes on a connection of their own, `step` at a time, then asks whether it is open."""
    before = way.count()
    caplog.clear()
    reader, writer = await way.open()
    for start in range(0, len(data), step):
        writer.write(data[start : start + step])
        if start + step < len(data):
            await asyncio.sleep(0.0005)
    answers = [await read_raw(reader) for _ in range(num_answers)]
    writer.write(LIVEZ)
    is_open = bool(await read_raw(reader))
    await way.hang_up()
    await asyncio.sleep(0.01)
    after = way.count()
    counted = {name: value - before.get(name, 0.0) for name, value in after.items()}
    return Seen(
        answers,
        is_open,
        {name: value for name, value in counted.items() if value},
        list_lines(caplog),
    )


def list_lines(caplog: pytest.LogCaptureFixture) -> list[tuple[object, ...]]:
    names = ("method", "path", "status", "model")
    return [
        (record.levelname, record.message, *(getattr(record, name, None) for name in names))
        for record in caplog.records
        if record.name.startswith("service.")
    ]


@dataclass(frozen=True)
class Case:
    """Bytes of a client.

    Attributes:
        is_direct: whether the direct way takes the request, if it arrives in one piece.
    """

    name: str
    data: bytes
    is_direct: bool = False
    num_answers: int = 1

    def __str__(self) -> str:
        return self.name


def post(
    body: bytes, headers: bytes = JSON, path: bytes = b"/classify", version: bytes = b"1.1"
) -> bytes:
    framing = b"Content-Length: %d\r\n" % len(body)
    return b"POST %s HTTP/%s\r\nHost: x\r\n%s%s\r\n%s" % (path, version, headers, framing, body)


def post_json(fields: object, headers: bytes = JSON, **more: Any) -> bytes:
    return post(json.dumps(fields).encode(), headers, **more)


def take(name: str, fields: object, headers: bytes = JSON) -> Case:
    return Case(name, post_json(fields, headers), is_direct=True)


def leave(name: str, fields: object, headers: bytes = JSON, **more: Any) -> Case:
    return Case(name, post_json(fields, headers, **more))


def with_parameters(**parameters: object) -> dict[str, object]:
    return {**GOOD, "parameters": parameters}


TINY = "tiny-classification-gru"
BODY = json.dumps(GOOD).encode()
TAKEN = [
    take("text", GOOD),
    take("text by its other name", {"text": "좋은 영화"}),
    take("array of one text", {"inputs": ["좋은 영화"]}),
    take("top_k", with_parameters(top_k=1)),
    take("scores", with_parameters(function_to_apply="none")),
    take("sigmoid", with_parameters(function_to_apply="sigmoid", return_all_scores=True)),
    take("best label", with_parameters(return_all_scores=False)),
    take("model", with_parameters(model=TINY)),
    take("truncated", {"inputs": "아주 좋은 영화 " * 40, "truncate": True}),
    take("short truncated", with_parameters(truncation=True, max_length=2)),
    take("nulls", {**GOOD, "parameters": None, "timeout_ms": None, "text": None}),
    take("unknown field", {**GOOD, "colour": 7}),
    take("key where none is wanted", {**GOOD, "api_key": "x"}),
    take("deadline", {**GOOD, "timeout_ms": 9000}),
    take("deadline in quotes", {**GOOD, "timeout_ms": "9000"}),
    take("deadline in the header", GOOD, JSON + b"X-Request-Timeout-Ms: 9000\r\n"),
    take("letters and marks", {"inputs": '영화 😀 é ß \u2028 " \\ \t \n </s> 좋다!'}),
    take("text of the longest that is short", {"inputs": "가" * 1000, "truncate": True}),
    take("nothing to be seen", {"inputs": "\u200b"}),
    take("id", GOOD, JSON + ID),
    take("id that cannot be kept", GOOD, JSON + b"X-Request-ID: a b\r\n"),
    take("charset", GOOD, b"Content-Type: application/json; charset=utf-8\r\n"),
    take("gzip wanted", GOOD, JSON + b"Accept-Encoding: gzip, br\r\n"),
    take("gzip refused", GOOD, JSON + b"Accept-Encoding: gzip;q=0\r\n"),
    take("header names in capitals", GOOD, b"CONTENT-TYPE: application/json\r\nX-A: \xe9\r\n"),
    take("page of elsewhere", GOOD, JSON + b"Origin: http://elsewhere\r\n"),
    take("keep-alive", GOOD, JSON + b"Connection: keep-alive\r\n"),
    Case("characters as they are", post('{"inputs":"좋은 영화"}'.encode()), is_direct=True),
    Case("escapes", post(b'{"inputs":"\\uc88b\\uc740 \\ud83d\\ude00"}'), is_direct=True),
    Case("byte order mark", post(b"\xef\xbb\xbf" + BODY), is_direct=True),
    Case("white space", post(b" \r\n\t" + BODY + b"\n "), is_direct=True),
    Case("duplicate members", post(b'{"inputs":"a","inputs":"\xec\xa2\x8b"}'), is_direct=True),
]
LEFT_BODIES = [
    *(
        Case(f"body {number}", post(body))
        for number, body in enumerate(
            [
                *(b"", b"  ", b"{", b"[]", b"null", b'"a"', b"7", b'{"inputs": "a",}', b"{}{}"),
                *(b'{"inputs": NaN}', b'{"inputs": "a", "timeout_ms": Infinity}', b"\xff\xfe{}"),
                *(b'{"inputs": "\xff"}', b'{"inputs": "\\ud800"}', b'{"inputs": "\x00"}'),
                b'{"inputs": "a", "timeout_ms": 1' + b"0" * 400 + b"}",
                b'{"inputs": "a", "parameters": {"top_k": 1e999}}',
                b'{"inputs": ' + b"[" * 300 + b"]" * 300 + b"}",
                *(b"inputs=a", b"inputs=%EC%A2%8B", b'{"inputs": "a"', b'{"inputs" "a"}'),
            ]
        )
    ),
    *(
        leave(f"fields {number}", fields)
        for number, fields in enumerate(
            [
                *({}, {"inputs": 7}, {"inputs": ""}, {"inputs": " "}, {"inputs": []}),
                *({"inputs": [""]}, {"inputs": [7]}, {"inputs": {}}, {"inputs": None}),
                *({"inputs": "a", "text": "a"}, {"inputs": ["좋다", "나쁘다"]}),
                {"inputs": "아주 좋은 영화 " * 40},
                *({"inputs": "가" * 1001, "truncate": True}, {"inputs": "a" * 200_000}),
                *({**GOOD, "details": True}, {**GOOD, "explain": True}),
                *(with_parameters(details=True), with_parameters(explain=True)),
                {**GOOD, "details": {"states": {}}},
                *(with_parameters(model="no-such"), with_parameters(model="tiny-translation-lstm")),
                *(with_parameters(top_k=0), with_parameters(top_k=True), with_parameters(a=1)),
                *(with_parameters(top_k=10**12), with_parameters(max_length=1)),
                *({**GOOD, "parameters": []}, {**GOOD, "truncate": 1}, {**GOOD, "timeout_ms": 0}),
                *({**GOOD, "timeout_ms": -1}, {**GOOD, "timeout_ms": 10**8}),
                *({**GOOD, "timeout_ms": "soon"}, {**GOOD, "timeout_ms": True}),
                {"inputs": "This is an English sentence about the weather of yesterday."},
                {"inputs": "Это предложение написано по-русски."},
            ]
        )
    ),
]
CHUNKED = JSON + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (BODY[:5], len(BODY) - 5, BODY[5:])
HEAD = b"POST /classify HTTP/1.1\r\nHost: x\r\n"
LEFT_HEADS = [
    leave("no type", GOOD, b""),
    leave("text", GOOD, b"Content-Type: text/plain\r\n"),
    leave("form that is JSON", GOOD, b"Content-Type: application/x-www-form-urlencoded\r\n"),
    Case("form", post(b"inputs=%EC%A2%8B", b"Content-Type: application/x-www-form-urlencoded\r\n")),
    leave("multipart", GOOD, b"Content-Type: multipart/form-data; boundary=a\r\n"),
    leave("two types", GOOD, JSON + b"Content-Type: text/plain\r\n"),
    leave("two ids", GOOD, JSON + ID + b"X-Request-ID: other\r\n"),
    *(
        leave(f"deadline {value.decode()}", GOOD, JSON + b"X-Request-Timeout-Ms: %b\r\n" % value)
        for value in (b"soon", b"0", b"-5", b"9" * 30, b"1.5", b"")
    ),
    leave("two deadlines", GOOD, JSON + b"X-Request-Timeout-Ms: 9000\r\n" * 2),
    Case("gzip", post(gzip.compress(BODY, mtime=0), JSON + b"Content-Encoding: gzip\r\n")),
    leave("not gzip", GOOD, JSON + b"Content-Encoding: gzip\r\n"),
    leave("unknown coding", GOOD, JSON + b"Content-Encoding: br\r\n"),
    leave("other expectation", GOOD, JSON + b"Expect: miracles\r\n"),
    leave("close", GOOD, JSON + b"Connection: close\r\n"),
    leave("HTTP/1.0", GOOD, JSON, version=b"1.0"),
    leave("HTTP/1.0 kept alive", GOOD, JSON + b"Connection: keep-alive\r\n", version=b"1.0"),
    leave("upgrade", GOOD, JSON + b"Connection: Upgrade\r\nUpgrade: h2c\r\n"),
    leave("query", GOOD, path=b"/classify?text=a"),
    leave("empty query", GOOD, path=b"/classify?"),
    leave("slash", GOOD, path=b"/classify/"),
    leave("escaped path", GOOD, path=b"/%63lassify"),
    leave("absolute address", GOOD, path=b"http://x/classify"),
    leave("predict", GOOD, path=b"/predict"),
    leave("default task", GOOD, path=b"/"),
    leave("model's address", GOOD, path=b"/models/" + TINY.encode()),
    Case("chunks", HEAD + CHUNKED + CHUNKS),
    Case("chunks with a trailer", HEAD + CHUNKED + CHUNKS[:-2] + b"X-A: b\r\n\r\n"),
    Case("no length", HEAD + JSON + b"\r\n"),
    Case("100-continue", post(BODY, JSON + b"Expect: 100-continue\r\n"), num_answers=2),
    *(
        Case(f"method {method.decode()}", post(BODY).replace(b"POST", method, 1))
        for method in (b"GET", b"PUT", b"PATCH", b"OPTIONS", b"DELETE")
    ),
]
SEVERAL = [
    Case("two", post(BODY) * 2, is_direct=True, num_answers=2),
    Case("five", post(BODY) * 5, is_direct=True, num_answers=5),
    Case("and another", post(BODY) + LIVEZ + post(BODY), is_direct=True, num_answers=3),
    Case("good and bad", post(BODY) + post(b"{") + post(BODY), is_direct=True, num_answers=3),
    Case("bad and good", post(b"{") + post(BODY), num_answers=2),
    Case("good and left", post(BODY) + post(BODY, b"") + LIVEZ, is_direct=True, num_answers=3),
]
CASES = [*TAKEN, *LEFT_BODIES, *LEFT_HEADS, *SEVERAL]
# Sent whole alone: the connection is closed at the fault, and a client that still sends sees that
# instead of the answer.
NOT_HTTP = [
    Case("two lengths", HEAD + JSON + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    Case("length that is none", HEAD + JSON + b"Content-Length: x\r\n\r\n{}"),
    Case("no HTTP", b"\x16\x03\x01\r\n\r\n"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ways(tiny_repository: Path) -> AsyncIterator[list[Way]]:
    """A server with the direct way and one without it, over the same models."""
    settings = Settings(models_dir=tiny_repository, device="cpu")
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(run_way(create_app(settings), is_direct=is_direct))
            for is_direct in (True, False)
        ]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("case", "num_pieces"),
    [*((case, num) for case in CASES for num in (1, 20)), *((case, 1) for case in NOT_HTTP)],
    ids=str,
)
async def test_both_ways_are_alike(
    case: Case, num_pieces: int, ways: list[Way], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="service")
    direct = ways[0].direct
    assert direct is not None
    num_taken = direct.num_taken
    step = -(-len(case.data) // num_pieces)
    found, wanted = [await watch(way, caplog, case.data, case.num_answers, step) for way in ways]

    assert found == wanted
    assert found.answers != [b""] * case.num_answers
    if num_pieces == 1:
        assert (direct.num_taken > num_taken) == case.is_direct


# --- what takes a while ---


class Gate:
    """Holds the steps of a model while it is closed; fails them if it is told to."""

    def __init__(self, runner: Runner) -> None:
        self._step = runner.step
        self.is_open, self.was_entered = threading.Event(), threading.Event()
        self.failure: Exception | None = None
        runner.step = self  # type: ignore[method-assign]

    def __call__(self, arrivals: list[TokenSequence]) -> list[tuple[TokenSequence, Result]]:
        self.was_entered.set()
        assert self.is_open.wait(20.0)
        if self.failure:
            raise self.failure
        return self._step(arrivals)

    async def wait_entered(self) -> None:
        assert await asyncio.to_thread(self.was_entered.wait, 10.0)


Scenario = Callable[[Way, Gate], Awaitable[object]]
OpenWays = Callable[..., Awaitable[list[Way]]]


@pytest.fixture
async def open_ways(
    tiny_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OpenWays]:
    """Starts both servers with settings of its own; their models run on threads."""
    monkeypatch.setattr("service.repository.registry.available_cpus", lambda: 2)
    async with AsyncExitStack() as stack:

        async def open_both(**fields: Any) -> list[Way]:
            settings = Settings(models_dir=tiny_repository, device="cpu", **fields)
            return [
                await stack.enter_async_context(run_way(create_app(settings), is_direct=is_direct))
                for is_direct in (True, False)
            ]

        yield open_both


async def compare(
    ways: list[Way], play: Scenario, caplog: pytest.LogCaptureFixture, *, is_direct: bool = True
) -> Any:
    """What a scenario gives, with counters and lines of the log; they are alike both ways."""
    caplog.set_level(logging.INFO, logger="service")
    found = []
    for way in ways:
        served = way.app.context.registry.find_classifier("ko")
        before, gate = way.count(), Gate(served.model.runner)  # type: ignore[attr-defined]
        caplog.clear()
        try:
            given = await play(way, gate)
        finally:
            gate.is_open.set()
            await way.hang_up()
        async with asyncio.timeout(60.0):
            while served.batcher.num_pending:  # type: ignore[union-attr] # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        after = way.count()
        counted = {name: value - before.get(name, 0.0) for name, value in after.items()}
        kept = {name: value for name, value in counted.items() if value and "batch" not in name}
        found.append((given, kept, sorted(list_lines(caplog), key=str)))
    assert found[0] == found[1]
    assert ways[0].direct is not None
    assert (ways[0].direct.num_taken > 0) == is_direct
    return found[0]


async def send(way: Way, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await way.open()
    writer.write(data)
    return reader, writer


async def wait_queued(way: Way, num: int) -> None:
    queue = way.app.context.registry.find_classifier("ko").batcher
    async with asyncio.timeout(60.0):
        while queue.queue_state(0.0).num_sequences != num:  # type: ignore[union-attr] # noqa: ASYNC110
            await asyncio.sleep(0.01)


def is_counted(counted: dict[str, float], outcome: str) -> bool:
    return any(f"'{outcome}'" in name for name in counted if "requests_total" in name)


async def test_hang_up_takes_a_queued_text_back(
    open_ways: OpenWays, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(way: Way, gate: Gate) -> list[bytes]:
        reader, _ = await send(way, post(BODY))
        await gate.wait_entered()
        _, other = await send(way, post(BODY))
        await wait_queued(way, 1)
        other.close()
        await wait_queued(way, 0)
        gate.is_open.set()
        return [await read_raw(reader)]

    _, counted, lines = await compare(await open_ways(), play, caplog)
    assert is_counted(counted, "cancelled")
    assert sorted(status for *_, status, _ in lines) == [200, 499]


async def test_hang_up_during_a_step_is_noticed(
    open_ways: OpenWays, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(way: Way, gate: Gate) -> None:
        _, writer = await send(way, post(BODY))
        await gate.wait_entered()
        writer.close()
        await asyncio.sleep(0.3)

    _, counted, _ = await compare(await open_ways(), play, caplog)
    assert is_counted(counted, "cancelled")


@pytest.mark.parametrize("is_queued", [False, True])
async def test_deadline_passes_while_the_engine_works(
    is_queued: bool, open_ways: OpenWays, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(way: Way, gate: Gate) -> list[bytes]:
        first, _ = await send(way, post(BODY))
        await gate.wait_entered()
        if not is_queued:
            gate.is_open.set()
            await read_raw(first)
            gate.is_open.clear()
        late, writer = await send(way, post_json({**GOOD, "timeout_ms": 200}))
        answers = [await read_raw(late)]
        gate.is_open.set()
        writer.write(post(BODY))
        answers.append(await read_raw(late))
        return answers

    answers, counted, _ = await compare(await open_ways(), play, caplog)
    assert answers[0].startswith(b"HTTP/1.1 504 ")
    assert answers[1].startswith(b"HTTP/1.1 200 ")
    assert is_counted(counted, "deadline")


async def test_failure_of_the_engine_is_told(
    open_ways: OpenWays, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(way: Way, gate: Gate) -> list[bytes]:
        gate.failure = RuntimeError("out of order")
        gate.is_open.set()
        reader, writer = await send(way, post(BODY))
        failed = await read_raw(reader)
        gate.failure = None
        writer.write(post(BODY))
        return [failed, await read_raw(reader)]

    answers, _, _ = await compare(await open_ways(), play, caplog)
    assert b"HTTP/1.1 500 " in answers[0]
    assert b"out of order" not in answers[0]
    assert answers[1].startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("stage", ["describe_job", "submit"])
async def test_error_that_nobody_expects_is_an_answer(
    stage: str,
    open_ways: OpenWays,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("a slip")

    owner = "ClassifyPipeline" if stage == "describe_job" else "Batcher"
    room = "pipeline.classify" if stage == "describe_job" else "engine.batcher"
    monkeypatch.setattr(f"service.{room}.{owner}.{stage}", fail)

    async def play(way: Way, gate: Gate) -> bytes:
        gate.is_open.set()
        reader, _ = await send(way, post(BODY))
        return await read_raw(reader)

    answer, _, lines = await compare(await open_ways(), play, caplog)
    assert b"Internal server error." in answer
    assert ("ERROR", "unexpected error") in [line[:2] for line in lines]


async def test_full_queue_refuses(open_ways: OpenWays, caplog: pytest.LogCaptureFixture) -> None:
    async def play(way: Way, gate: Gate) -> list[bytes]:
        first, _ = await send(way, post(BODY))
        await gate.wait_entered()
        second, _ = await send(way, post(BODY))
        await wait_queued(way, 1)
        third, writer = await send(way, post(BODY))
        answers = [await read_raw(third)]
        gate.is_open.set()
        answers += [await read_raw(first), await read_raw(second)]
        writer.write(post(BODY))
        return [*answers, await read_raw(third)]

    answers, counted, _ = await compare(await open_ways(max_queue_size=1), play, caplog)
    assert [answer[9:12] for answer in answers] == [b"429", b"200", b"200", b"200"]
    assert is_counted(counted, "overloaded")


async def test_requests_behind_one_that_runs_wait_for_it(
    open_ways: OpenWays, caplog: pytest.LogCaptureFixture
) -> None:
    requests = [post(BODY), LIVEZ, post(b"{"), post(BODY)]

    async def play(way: Way, gate: Gate) -> list[bytes]:
        reader, writer = await send(way, requests[0])
        await gate.wait_entered()
        for request in requests[1:]:
            writer.write(request)
            await asyncio.sleep(0.02)
        gate.is_open.set()
        return [await read_raw(reader) for _ in requests]

    answers, _, _ = await compare(await open_ways(), play, caplog)
    assert [answer[9:12] for answer in answers] == [b"200", b"200", b"422", b"200"]


@pytest.mark.parametrize("how", ["drain", "exit", "retire"])
async def test_server_that_stops_answers_what_runs_and_closes(
    how: str, open_ways: OpenWays, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(way: Way, gate: Gate) -> tuple[bytes, bytes]:
        reader, _ = await send(way, post(BODY))
        await gate.wait_entered()
        if how == "drain":
            way.app.context.is_draining = True
        elif how == "exit":
            way.server.should_exit = True
            await asyncio.sleep(0.3)
        else:
            way.server._retire()
        gate.is_open.set()
        answer = await read_raw(reader)
        rest = b"" if how == "retire" else await asyncio.wait_for(reader.read(), 5.0)
        return answer, rest

    (answer, rest), _, _ = await compare(await open_ways(), play, caplog)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert (b"connection: close" in answer, rest) == (how != "retire", b"")


async def test_time_to_drain_ends(open_ways: OpenWays, caplog: pytest.LogCaptureFixture) -> None:
    async def play(way: Way, gate: Gate) -> tuple[bytes, bytes]:
        reader, _ = await send(way, post(BODY))
        await gate.wait_entered()
        way.app.context.is_draining = way.server.should_exit = True
        return await read_raw(reader), await reader.read()

    (answer, rest), _, _ = await compare(await open_ways(drain_seconds=0.5), play, caplog)
    assert (answer[9:12], rest) == (b"503", b"")
    assert b"The server is shutting down; retry the request." in answer


async def test_idle_connection_stays_open_for_as_long(
    open_ways: OpenWays, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(way: Way, gate: Gate) -> list[bool]:
        gate.is_open.set()
        reader, writer = await send(way, post(BODY))
        await read_raw(reader)
        await asyncio.sleep(0.6)
        writer.write(post(BODY))
        await read_raw(reader)
        await asyncio.sleep(0.6)
        is_open = not reader.at_eof()
        await asyncio.sleep(1.0)
        return [is_open, reader.at_eof()]

    given, _, _ = await compare(await open_ways(keep_alive_seconds=1), play, caplog)
    assert given == [True, True]


# --- what is never taken, and what is all the same ---


async def ask_once(way: Way, gate: Gate, data: bytes) -> bytes:
    gate.is_open.set()
    reader, _ = await send(way, data)
    return await read_raw(reader)


@pytest.mark.parametrize(
    ("settings", "data", "is_direct"),
    [
        ({"root_path": "/tools"}, post(BODY, path=b"/tools/classify"), True),
        ({"root_path": "/tools"}, post(BODY), True),
        ({"access_log_ratio": 0.0}, post(BODY), True),
        ({"cors_origins": "http://elsewhere"}, post(BODY), False),
        ({"api_keys": "secret"}, post(BODY), False),
        ({"api_keys": "secret"}, post(BODY, JSON + b"X-API-Key: secret\r\n"), False),
        ({"max_body_bytes": 1024}, post(BODY + b" " * 1024), False),
        ({"max_text_chars": 3}, post(BODY), False),
    ],
)
async def test_settings_count(
    settings: dict[str, Any],
    data: bytes,
    is_direct: bool,
    open_ways: OpenWays,
    caplog: pytest.LogCaptureFixture,
) -> None:
    play = partial(ask_once, data=data)
    answer, _, _ = await compare(await open_ways(**settings), play, caplog, is_direct=is_direct)
    assert answer
