"""Server-sent events from the shipped models, over a real socket."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.server import MODELS_DIR, run_server

ENGLISH = "Two dogs are playing in the snow.  A man watches them.\n\nThe end."


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    log = tmp_path_factory.mktemp("server") / "log"
    with run_server(MODELS_DIR, log) as server, server.open_client() as client:
        yield client


def read_events(client: httpx.Client, **body: Any) -> list[tuple[str, Any]]:
    """Events as they come; each but the last block of lines is whole."""
    fields = {"q": ENGLISH, "source": "en", "target": "de", "stream": True} | body
    with client.stream("POST", "/translate", json=fields) as response:
        assert response.status_code == httpx.codes.OK
        lines = list(response.iter_lines())
    names = [line.removeprefix("event: ") for line in lines[0::3]]
    datas = [json.loads(line.removeprefix("data: ")) for line in lines[1::3]]
    assert set(lines[2::3]) == {""}
    return list(zip(names, datas, strict=True))


@pytest.mark.parametrize("beam_size", [1, 4])
@pytest.mark.parametrize(("target", "least"), [("de", 5), ("ko", 5)])
def test_tokens_put_together_are_the_translation(
    target: str, least: int, beam_size: int, client: httpx.Client
) -> None:
    *tokens, (last, answer) = read_events(client, target=target, beam_size=beam_size)

    assert last == "done"
    assert {name for name, _ in tokens} == {"token"}
    assert len(tokens) >= (least if beam_size == 1 else 2)
    assert "".join(data["text"] for _, data in tokens) == answer["translatedText"]
    assert not any("\ufffd" in data["text"] for _, data in tokens)


# The model repeats itself at the end of it.
LOOP = "Brr zrr grr krr drr trr prr frr srr hrr mrr nrr"


@pytest.mark.parametrize("extra", [{}, {"format": "html"}, {"alternatives": 1}])
def test_the_last_event_says_which_translations_are_incomplete(
    extra: dict[str, Any], client: httpx.Client
) -> None:
    *_, (_, plain) = read_events(client, **extra)
    *_, (_, mixed) = read_events(client, q=["A man is running.", LOOP], **extra)

    assert "complete" not in plain
    assert mixed["complete"] == [True, False]


def test_texts_of_an_array_come_side_by_side(client: httpx.Client) -> None:
    texts = ["A man is running.", "Two women are talking."]
    *tokens, (_, answer) = read_events(client, q=texts, beam_size=1)

    for index, text in enumerate(answer["translatedText"]):
        assert "".join(data["text"] for _, data in tokens if data["index"] == index) == text


def test_markup_streams_by_passages(client: httpx.Client) -> None:
    text = "<p>A man is <b>running</b>.</p><p>Two women are talking.</p>"
    *tokens, (_, answer) = read_events(client, q=text, format="html")

    assert "".join(data["text"] for _, data in tokens) == answer["translatedText"]
    assert answer["translatedText"].count("<p>") == 2


def test_first_token_comes_long_before_the_last(client: httpx.Client) -> None:
    body = {"q": "A man walks. " * 40, "source": "en", "target": "de", "stream": True}
    with client.stream("POST", "/translate", json=body) as response:
        chunks = [chunk for chunk in response.iter_raw() if chunk]

    assert len(chunks) > 10  # else everything came at once, in the end


def test_stream_that_cannot_begin_is_a_problem(client: httpx.Client) -> None:
    body = {"q": "Hello", "source": "en", "target": "xx", "stream": True}
    response = client.post("/translate", json=body)

    assert response.status_code == httpx.codes.NOT_FOUND
    assert response.headers["content-type"] == "application/problem+json"
