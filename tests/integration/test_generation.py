"""Texts of language models from a real server: cancelled, in a crowd, by two processes."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.server import ROOT, Server, read_metric, run_server, wait_until

LANGUAGES = ROOT / "tests" / "service" / "tiny_languages"
MODEL = "tiny-language-lstm"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(LANGUAGES, tmp_path_factory.mktemp("languages") / "log") as server:
        yield server


def ask(client: httpx.Client, seed: int) -> str:
    parameters = {"max_new_tokens": 40, "do_sample": True, "seed": seed}
    response = client.post("/generate", json={"inputs": "the", "parameters": parameters})
    assert response.status_code == 200, response.text
    text: str = response.json()["generated_text"]
    return text


def test_a_stream_that_is_hung_up_frees_its_rows(server: Server) -> None:
    body = {"model": MODEL, "prompt": ["the"] * 16, "n": 16, "max_tokens": 200, "stream": True}
    with server.open_client() as client:
        with client.stream("POST", "/v1/completions", json=body) as response:
            line = next(response.iter_lines())
            assert json.loads(line.removeprefix("data: "))["choices"]

        wait_until(lambda: read_metric(client, "seqserve_running_sequences") == 0, 60.0)
        assert read_metric(client, "seqserve_queue_requests") == 0
        wait_until(
            lambda: read_metric(
                client, "seqserve_requests_total", model=MODEL, outcome="cancelled"
            ),
            60.0,
        )
        assert ask(client, 1)


def test_a_seed_gives_the_same_text_alone_and_in_a_crowd(server: Server) -> None:
    with server.open_client() as client:
        alone = [ask(client, number) for number in range(6)]
        with ThreadPoolExecutor(24) as threads:
            crowd = list(threads.map(lambda n: ask(client, n % 6), range(48)))

    assert crowd == alone * 8
    assert len(set(alone)) == 6


def test_all_processes_give_the_same_texts(tmp_path: Path, server: Server) -> None:
    with server.open_client() as client:
        alone = ask(client, 5)
    with run_server(LANGUAGES, tmp_path / "log", num_workers=2) as several:
        found = set()
        for _ in range(8):
            with several.open_client() as client:
                found.add(ask(client, 5))

    assert found == {alone}
