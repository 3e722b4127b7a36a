"""Front ends with one engine process behind them: the same answers, and what ends with what."""

import asyncio
import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.integration.server import (
    MODELS_DIR,
    ROOT,
    Server,
    read_metric,
    run_server,
    wait_until,
)
from tests.integration.workers import (
    MODEL,
    add_version,
    classify,
    count_workers,
    is_alive,
    list_workers,
)

pytestmark = pytest.mark.usefixtures("heeded_signals")

TINY = ROOT / "tests" / "service"
ENGINE = ("--topology", "engine")
WAIT_SECONDS = 120.0
# On two processors that do nothing else it takes three seconds.
BACK_SECONDS = 120.0


@pytest.fixture(scope="module")
def all_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for each task."""
    folder = tmp_path_factory.mktemp("tasks") / "repository"
    folder.mkdir()
    for source in (
        MODELS_DIR / MODEL,
        MODELS_DIR / "translation-en-de",
        *(TINY / "tiny_taggers").iterdir(),
        *(TINY / "tiny_languages").iterdir(),
        *(TINY / "tiny_answerers").iterdir(),
    ):
        shutil.copytree(source, folder / source.name)
    answerer = folder / "tiny-text2text-lstm" / "1" / "manifest.json"
    manifest = json.loads(answerer.read_text(encoding="utf-8")) | {"answers_by_default": False}
    answerer.write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def replica(all_tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(all_tasks, tmp_path_factory.mktemp("replica") / "log") as running:
        yield running


@pytest.fixture(scope="module")
def server(all_tasks: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("engine") / "log"
    with run_server(all_tasks, log, *ENGINE, num_workers=2) as running:
        wait_until(lambda: count_workers(running) == 2, WAIT_SECONDS)
        yield running


@pytest.fixture
def small(one_model: Path, tmp_path: Path) -> Iterator[Server]:
    """A server for tests that kill parts of it."""
    with run_server(one_model, tmp_path / "log", *ENGINE, num_workers=2) as running:
        wait_until(lambda: count_workers(running) == 2, WAIT_SECONDS)
        yield running


def find_engines(server: Server) -> list[int]:
    """Processes that were engines, in their order."""
    return [int(pid) for pid in re.findall(r"the engine process, (\d+), has", server.read_log())]


def list_front_ends(server: Server) -> list[int]:
    return [pid for pid in list_workers(server) if pid not in find_engines(server)]


STATES = {"states": {"layers": ["0.forward"], "units": [0, 7], "values": ["hidden"]}}
ENGLISH = "Two dogs are playing in the snow. A man watches them."
GREEDY = {"q": ENGLISH, "source": "en", "target": "de", "beam_size": 1}
DRAWN = {"max_new_tokens": 30, "temperature": 0.9, "seed": 7}
LSTM, GRU, ANSWERER = "tiny-language-lstm", "tiny-language-gru", "tiny-text2text-lstm"

REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "classify": ("/classify", {"inputs": ["a delight", "a waste of time"]}),
    "explain": ("/classify", {"inputs": "a delight", "parameters": {"explain": True}}),
    "classifier-states": ("/classify", {"inputs": "a delight", "parameters": {"details": STATES}}),
    "tag": ("/tag", {"inputs": "나는학교에간다."}),
    "tagger-states": ("/tag", {"inputs": "나는학교에간다.", "parameters": {"details": STATES}}),
    "translate-greedy": ("/translate", GREEDY),
    "translate-beam": ("/translate", GREEDY | {"beam_size": 4, "alternatives": 2}),
    "translate-html": ("/translate", GREEDY | {"q": "<p>A <b>dog</b>.</p>", "format": "html"}),
    "attention": ("/translate", GREEDY | {"attention": True}),
    "translate-states": ("/translate", GREEDY | {"details": STATES}),
    "translate-stream": ("/translate", GREEDY | {"stream": True}),
    "translate-beam-stream": ("/translate", GREEDY | {"beam_size": 3, "stream": True}),
    "generate": ("/generate", {"inputs": "the cat", "parameters": {**DRAWN, "details": True}}),
    "generate-states": (
        "/generate",
        {"inputs": "the", "parameters": {"seed": 3, "details": {"states": {"units": [1]}}}},
    ),
    "generate-stop": ("/generate", {"inputs": "the", "parameters": {**DRAWN, "stop": ["e", "a"]}}),
    "generate-stream": ("/generate_stream", {"inputs": "the", "parameters": DRAWN}),
    "stop-stream": ("/generate_stream", {"inputs": "the", "parameters": {**DRAWN, "stop": ["e"]}}),
    "completions": (
        "/v1/completions",
        {"model": LSTM, "prompt": ["the", "a"], "n": 3, "max_tokens": 20, "seed": 5, "logprobs": 1},
    ),
    "completions-stream": (
        "/v1/completions",
        {"model": LSTM, "prompt": "the", "max_tokens": 20, "seed": 5, "stream": True},
    ),
    "text2text": ("/generate", {"inputs": "the cat", "parameters": {**DRAWN, "model": ANSWERER}}),
    "too-long": ("/classify", {"inputs": "a " * 49_000}),
    "unknown-model": ("/classify", {"inputs": "a", "parameters": {"model": "none"}}),
    "models": ("/models", {}),
}


def ask(server: Server, name: str) -> tuple[int, dict[str, str], Any]:
    """Status, headers and answer, without what is of the request's own."""
    path, body = REQUESTS[name]
    with server.open_client() as client:
        response = client.post(path, json=body) if body else client.get(path)
    told = {"content-type", "x-model-name", "x-model-version", "retry-after", "x-truncated"}
    headers = {name: value for name, value in response.headers.items() if name in told}
    is_stream = headers["content-type"].startswith("text/event-stream")
    answer = read_stream(response.text) if is_stream else without_own(response.json())
    return response.status_code, headers, answer


def without_own(answer: Any) -> Any:
    """An answer without the id and the time of a completion."""
    if isinstance(answer, dict):
        return {name: value for name, value in answer.items() if name not in ("id", "created")}
    return answer


def read_stream(text: str) -> tuple[str, Any]:
    """The tokens of a stream put together, and its last event.

    How many tokens have become certain at a time depends on how soon somebody looks.
    """
    lines = [line for line in text.split("\n") if line.startswith("data: {")]
    events = [json.loads(line.removeprefix("data: ")) for line in lines]
    parts = [event.get("token", event).get("text", "") for event in events]
    choices = [choice["text"] for event in events for choice in event.get("choices", ())]
    return "".join([*parts, *choices]), without_own(events[-1])


@pytest.mark.parametrize("name", REQUESTS)
def test_both_topologies_answer_alike(name: str, server: Server, replica: Server) -> None:
    found = ask(server, name)
    assert found == ask(replica, name)
    assert found[0] < 500


async def type_text(server: Server, text: str) -> list[str]:
    url = server.url.replace("http", "ws", 1)
    async with connect(f"{url}/tag/stream", proxy=None, open_timeout=60.0) as socket:
        events = []
        for frame in [*text, ""]:
            await socket.send(frame)
            events.append(str(await asyncio.wait_for(socket.recv(), 60.0)))
    return events


def test_text_that_is_typed_is_labelled_alike(server: Server, replica: Server) -> None:
    found = asyncio.run(type_text(server, "나는학교에간다."))
    assert found == asyncio.run(type_text(replica, "나는학교에간다."))
    assert len(found) == 9


def test_batches_span_front_ends_and_are_counted_once(server: Server) -> None:
    def count(name: str) -> float:
        with server.open_client() as client:
            return read_metric(client, f"seqserve_batch_rows_{name}", model=MODEL)

    wait_until_still(lambda: count("sum"))
    batches, rows = count("count"), count("sum")
    with ThreadPoolExecutor(16) as threads:
        statuses = list(threads.map(lambda _: classify(server).status_code, range(200)))
    assert set(statuses) == {200}
    wait_until(lambda: count("sum") - rows == 200, WAIT_SECONDS)  # the engine's are a second old
    assert count("count") - batches < 200


def wait_until_still(read: Any) -> None:
    """Until a metric has been the same for longer than the engine takes to publish it."""
    before = read()
    time.sleep(1.2)
    while before != (now := read()):
        before = now
        time.sleep(1.2)


def test_a_client_that_hangs_up_frees_its_rows(server: Server) -> None:
    body = {"model": LSTM, "prompt": ["the"] * 16, "n": 16, "max_tokens": 200, "stream": True}
    with server.open_client() as client:
        before = read_metric(client, "seqserve_tokens_total", model=LSTM, direction="output")
        with client.stream("POST", "/v1/completions", json=body) as response:
            assert next(response.iter_lines()).startswith("data: ")

        def count_tokens() -> float:
            return read_metric(client, "seqserve_tokens_total", model=LSTM, direction="output")

        wait_until_still(count_tokens)
        assert read_metric(client, "seqserve_running_sequences") == 0
        assert read_metric(client, "seqserve_queue_requests") == 0
        assert count_tokens() - before < 16 * 16 * 200


def test_a_deadline_holds_across_the_processes(server: Server) -> None:
    with server.open_client() as client:
        started = time.monotonic()
        body = {"q": "A man walks. " * 1500, "source": "en", "target": "de", "timeout_ms": 300}
        response = client.post("/translate", json=body)
    assert response.status_code == 504
    assert time.monotonic() - started < 5.0


def test_models_are_in_memory_once(server: Server) -> None:
    """A front end's own memory is a fraction of the engine's."""
    (engine,) = find_engines(server)
    own = {pid: read_private_bytes(pid) for pid in (engine, *list_front_ends(server))}
    assert len(own) == 3
    assert all(found < own[engine] for pid, found in own.items() if pid != engine)


def read_private_bytes(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return 1024 * sum(int(number) for number in re.findall(r"^Private_\w+: +(\d+)", text, re.M))


def test_overload_is_refused_with_the_numbers_of_the_one_queue(
    one_model: Path, tmp_path: Path
) -> None:
    """Both front ends fill one queue, which has room for four."""
    limits = ("--max-queue-size", "4")
    with run_server(one_model, tmp_path / "log", *ENGINE, *limits, num_workers=2) as server:
        with ThreadPoolExecutor(32) as threads:
            answers = list(threads.map(lambda _: classify_many(server), range(300)))
        with server.open_client() as client:
            wait_until(
                lambda: (
                    read_metric(client, "seqserve_shed_total", model=MODEL)
                    == sum(answer.status_code == 429 for answer in answers)
                ),
                WAIT_SECONDS,
            )
    assert {answer.status_code for answer in answers} == {200, 429}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1
    assert "above the limit of 4" in refused.json()["detail"]


def classify_many(server: Server) -> httpx.Response:
    with server.open_client() as client:
        return client.post("/classify", json={"inputs": ["a fine film"] * 3})


def test_a_front_end_that_is_killed_is_back_and_takes_no_other_with_it(small: Server) -> None:
    (engine,) = find_engines(small)
    victim, survivor = list_front_ends(small)
    os.kill(victim, signal.SIGKILL)
    killed_at = time.monotonic()
    wait_until(lambda: not is_alive(victim), WAIT_SECONDS)
    assert {classify(small).status_code for _ in range(10)} == {200}
    wait_until(lambda: len(set(list_front_ends(small)) - {victim}) == 2, BACK_SECONDS)
    wait_until(lambda: count_workers(small) == 2, BACK_SECONDS)
    assert time.monotonic() - killed_at < BACK_SECONDS
    assert find_engines(small) == [engine]
    assert survivor in list_front_ends(small)


def keep_asking(server: Server, is_over: threading.Event, found: list[httpx.Response]) -> None:
    with server.open_client() as client:
        while not is_over.is_set():
            found.append(client.post("/classify", json={"inputs": "a fine film"}))


def test_an_engine_that_is_killed_is_back_and_no_front_end_goes_with_it(small: Server) -> None:
    (engine,) = find_engines(small)
    front_ends = list_front_ends(small)
    is_over, found = threading.Event(), list[httpx.Response]()
    with ThreadPoolExecutor(8) as threads:
        clients = [threads.submit(keep_asking, small, is_over, found) for _ in range(8)]
        try:
            wait_until(lambda: len(found) > 50, WAIT_SECONDS)
            os.kill(engine, signal.SIGKILL)
            killed_at = time.monotonic()
            wait_until(lambda: probe(small) == 503, WAIT_SECONDS)
            wait_until(lambda: probe(small) == 200, BACK_SECONDS)
            assert time.monotonic() - killed_at < BACK_SECONDS
        finally:
            is_over.set()
        for client in clients:
            client.result(60)  # no connection was lost

    assert {answer.status_code for answer in found} == {200, 503}
    refused = [answer for answer in found if answer.status_code == 503]
    assert {answer.headers["retry-after"] for answer in refused} == {"5"}
    assert {answer.json()["detail"] for answer in refused} == {
        "the engine process has ended and is being started again; retry"
    }
    wait_until(lambda: len(find_engines(small)) == 2, WAIT_SECONDS)  # its line is in the log
    assert list_front_ends(small) == front_ends
    assert {classify(small).status_code for _ in range(10)} == {200}


def probe(server: Server) -> int:
    with server.open_client() as client:
        return client.get("/readyz").status_code


def test_a_stream_that_loses_its_engine_ends_with_an_error(server: Server) -> None:
    body = {"q": "A man walks. " * 200, "source": "en", "target": "de", "stream": True}
    with server.open_client() as client, client.stream("POST", "/translate", json=body) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("event: token")
        os.kill(find_engines(server)[-1], signal.SIGKILL)
        events = [line for line in lines if line.startswith("event: ")]
    assert events[-1] == "event: error"
    wait_until(lambda: probe(server) == 200, WAIT_SECONDS)


def test_a_signal_to_stop_lets_front_ends_finish_first(small: Server) -> None:
    processes = [*find_engines(small), *list_front_ends(small)]
    is_over, found = threading.Event(), list[int]()

    def ask_until_told_to_leave() -> None:
        with small.open_client() as client:
            while not is_over.is_set():
                answer = client.post("/classify", json={"inputs": "a fine film"})
                found.append(answer.status_code)
                if answer.headers.get("connection") == "close":
                    return

    with ThreadPoolExecutor(8) as threads:
        clients = [threads.submit(ask_until_told_to_leave) for _ in range(8)]
        wait_until(lambda: len(found) > 50, WAIT_SECONDS)
        assert small.stop() == 0
        is_over.set()
        for client in clients:
            client.result(10)
    assert set(found) == {200}
    assert not any(map(is_alive, processes))


def test_processes_end_when_nobody_watches_them(small: Server) -> None:
    processes = [*find_engines(small), *list_front_ends(small)]
    small.process.kill()
    wait_until(lambda: not any(map(is_alive, processes)), 40.0)


def test_a_key_press_stops_all(small: Server) -> None:
    for pid in (small.process.pid, *list_workers(small)):
        os.kill(pid, signal.SIGINT)
    assert small.process.wait(40) == 0
    assert "Traceback" not in small.read_log()


def test_a_hangup_replaces_all_and_the_new_models_answer(one_model: Path, tmp_path: Path) -> None:
    """Without losing a request, and without one answered by a mixture of versions."""
    folder = shutil.copytree(one_model, tmp_path / "repository")
    (version,) = (folder / MODEL).iterdir()
    with run_server(folder, tmp_path / "log", *ENGINE, num_workers=2) as server:
        wait_until(lambda: count_workers(server) == 2, WAIT_SECONDS)
        (engine,), front_ends = find_engines(server), list_front_ends(server)
        add_version(version, "99")
        is_over, found = threading.Event(), list[httpx.Response]()
        with ThreadPoolExecutor(4) as threads:
            clients = [threads.submit(keep_asking, server, is_over, found) for _ in range(4)]
            try:
                wait_until(lambda: len(found) > 20, WAIT_SECONDS)
                server.process.send_signal(signal.SIGHUP)
                wait_until(lambda: not set(front_ends) & set(list_workers(server)), WAIT_SECONDS)
                wait_until(lambda: not is_alive(engine), WAIT_SECONDS)
            finally:
                is_over.set()
            for client in clients:
                client.result(60)
        assert {classify(server).headers["x-model-version"] for _ in range(10)} == {"99"}
        assert len(list_workers(server)) == 3
    assert {answer.status_code for answer in found} == {200}
    assert {answer.headers["x-model-version"] for answer in found} == {version.name, "99"}


def test_models_that_are_broken_on_disk_do_not_replace_serving_ones(
    one_model: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(one_model, tmp_path / "repository")
    with run_server(folder, tmp_path / "log", *ENGINE, num_workers=2) as server:
        wait_until(lambda: count_workers(server) == 2, WAIT_SECONDS)
        before = list_workers(server)
        shutil.rmtree(folder / MODEL)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "the restart is off" in server.read_log(), WAIT_SECONDS)
        assert {classify(server).status_code for _ in range(20)} == {200}
        assert list_workers(server) == before


def test_an_engine_that_comes_back_with_other_models_gets_other_front_ends(
    one_model: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(one_model, tmp_path / "repository")
    (version,) = (folder / MODEL).iterdir()
    with run_server(folder, tmp_path / "log", *ENGINE, num_workers=1) as server:
        add_version(version, "99")
        os.kill(find_engines(server)[-1], signal.SIGKILL)
        wait_until(lambda: newest_answer(server) == "99", WAIT_SECONDS)
        assert "has other models than before" in server.read_log()


def newest_answer(server: Server) -> str:
    try:
        return str(classify(server).headers.get("x-model-version"))
    except httpx.TransportError:  # there is no front end at the moment
        return ""
