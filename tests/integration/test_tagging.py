"""Tagging through a real server: over HTTP, and over WebSockets as text is typed."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.integration.server import Server, read_metric, run_server

TAGGERS = Path(__file__).parents[1] / "service" / "tiny_taggers"
TEXT = "나는학교에간다."
NUM_CONNECTIONS = 300


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("tagging") / "log"
    limits = ("--max-frame-chars", "50", "--max-tag-streams", str(NUM_CONNECTIONS))
    with run_server(TAGGERS, log, *limits, "--max-stream-chars-per-second", "100000") as server:
        yield server


def open_socket(server: Server, query: str = "") -> connect:
    url = server.url.replace("http", "ws", 1)
    return connect(f"{url}/tag/stream{query}", proxy=None, open_timeout=60.0)


async def receive(socket: ClientConnection) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 60.0))
    return event


async def type_text(socket: ClientConnection, text: str) -> list[dict[str, Any]]:
    """The events of a text that is typed a character at a time, and ended."""
    events = []
    for frame in [*text, ""]:
        await socket.send(frame)
        events.append(await receive(socket))
    return events


def test_text_is_labelled_and_rendered(server: Server) -> None:
    with server.open_client() as client:
        plain = client.post("/tag", json={"inputs": TEXT, "parameters": {"ignore_labels": []}})
        parameters = {"aggregation_strategy": "simple", "render": True}
        many = client.post("/tag", json={"inputs": [TEXT, "네"], "parameters": parameters})
    assert [entity["word"] for entity in plain.json()] == list(TEXT)
    assert set(plain.json()[0]) == {"entity", "index", "score", "word", "start", "end"}
    assert plain.headers["x-model-name"] == "tiny-tagging-gru"
    assert [set(each) for each in many.json()] == [{"entities", "text"}] * 2
    assert "".join(many.json()[0]["text"].split()) == TEXT


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({"inputs": ""}, 422, "inputs"),
        ({"inputs": "가", "parameters": {"aggregation_strategy": "most"}}, 422, "'average'"),
        ({"inputs": "가", "parameters": {"model": "x"}}, 404, "'x'"),
        ({"inputs": "가", "parameters": {"render": 1}}, 422, "render"),
    ],
)
def test_wrong_bodies_are_named(
    server: Server, body: dict[str, Any], status: int, named: str
) -> None:
    with server.open_client() as client:
        answer = client.post("/tag", json=body)
    assert answer.status_code == status
    assert named in answer.json()["error"]


async def test_labels_come_while_text_is_typed(server: Server) -> None:
    async with open_socket(server) as socket:
        events = await type_text(socket, TEXT)
        second = await type_text(socket, TEXT)
    assert [event["end"] for event in events] == [0, 0, 1, 2, 3, 4, 5, 6, 8]
    assert "".join(events[-1]["text"].split()) == TEXT
    assert events[-1]["final"] is True
    assert second == events


async def test_hundreds_of_connections_are_stepped_together_and_freed(server: Server) -> None:
    async def type_one(number: int) -> str:
        async with open_socket(server) as socket:
            await everyone_is_there.wait()
            events = await type_text(socket, TEXT[number % 4 :])
            return str(events[-1]["text"])

    everyone_is_there = asyncio.Barrier(NUM_CONNECTIONS)
    texts = await asyncio.gather(*map(type_one, range(NUM_CONNECTIONS)))

    assert all(texts[place] == texts[place % 4] for place in range(NUM_CONNECTIONS))
    with server.open_client() as client:
        model = {"model": "tiny-stream-tagging-lstm"}
        num_steps = read_metric(client, "seqserve_step_duration_seconds_count", **model)
        num_tokens = read_metric(client, "seqserve_tokens_total", direction="input", **model)
    # a step takes up to 64 connections on by a token; how many wait depends on the machine
    assert 0 < num_steps < num_tokens / 1.5
    await wait_until_none_is_open(server)


async def wait_until_none_is_open(server: Server) -> None:
    with server.open_client() as client:
        for _ in range(200):
            if "\nseqserve_tag_streams 0.0\n" in client.get("/metrics").text:
                return
            await asyncio.sleep(0.1)
    raise AssertionError("connections that are gone still count")


async def test_connection_that_is_cut_off_frees_its_place(server: Server) -> None:
    socket = await open_socket(server)
    await socket.send("나")
    await receive(socket)
    socket.transport.abort()
    await wait_until_none_is_open(server)


async def test_one_connection_too_many_is_refused_with_the_limit(server: Server) -> None:
    await wait_until_none_is_open(server)
    sockets = await asyncio.gather(*(open_socket(server) for _ in range(NUM_CONNECTIONS)))
    try:
        with pytest.raises(InvalidStatus) as refused:
            await open_socket(server)
    finally:
        await asyncio.gather(*(socket.close() for socket in sockets))
    assert refused.value.response.status_code == 429
    assert str(NUM_CONNECTIONS) in json.loads(refused.value.response.body)["error"]
    await wait_until_none_is_open(server)


@pytest.mark.parametrize(
    ("frame", "code", "named"), [("가" * 51, 1009, "limit of 50"), (b"x", 1003, "binary")]
)
async def test_wrong_frames_end_the_connection_with_the_reason(
    server: Server, frame: str | bytes, code: int, named: str
) -> None:
    async with open_socket(server) as socket:
        await socket.send(frame)
        event = await receive(socket)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert named in event["error"]
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


async def test_unknown_model_is_refused(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await open_socket(server, "?model=tiny-tagging-gru")
    assert refused.value.response.status_code == 404


async def test_key_is_wanted_where_there_are_keys(tmp_path: Path) -> None:
    with run_server(TAGGERS, tmp_path / "log", "--api-keys", "secret") as guarded:
        with pytest.raises(InvalidStatus) as refused:
            await open_socket(guarded)
        async with open_socket(guarded, "?api_key=secret") as socket:
            await socket.send("가")
            assert (await receive(socket))["end"] == 0
    assert refused.value.response.status_code == 401


async def test_server_that_stops_says_so(tmp_path: Path) -> None:
    with run_server(TAGGERS, tmp_path / "log") as stopping:
        async with open_socket(stopping) as socket:
            await socket.send("가")
            await receive(socket)
            code = await asyncio.to_thread(stopping.stop)
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
    assert code == 0
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
