"""The wires of TGI and OpenAI over real models with random weights."""

import json
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from service.http.wires.openai import Completion, ModelCards
from service.http.wires.tgi import GenerateResponse, TokenEvent
from tests.service.http.fakes import samples
from tests.service.http.routes.calls import post, refuse, stream

LSTM, GRU = "tiny-language-lstm", "tiny-language-gru"
DRAWN = {"max_new_tokens": 20, "temperature": 0.9, "seed": 3}


async def test_generate_answers_as_tgi_does(client: httpx.AsyncClient) -> None:
    answer = await post(
        client, "/generate", inputs="the cat", parameters={**DRAWN, "details": True}
    )
    plain = await post(client, "/generate", inputs="the cat", parameters=DRAWN)

    shown = GenerateResponse.model_validate(answer)
    assert shown.details is not None
    assert plain == {"generated_text": shown.generated_text}
    assert "".join(token.text for token in shown.details.tokens) == shown.generated_text
    assert (shown.details.generated_tokens, shown.details.seed) == (len(shown.details.tokens), 3)
    assert shown.details.prefill == []


@pytest.mark.parametrize("path", ["/generate", "/generate_stream", "/"])
async def test_a_stream_has_an_event_per_token(client: httpx.AsyncClient, path: str) -> None:
    parameters = {**DRAWN, "return_full_text": True}
    whole = await post(client, "/generate", inputs="the cat", parameters=parameters)

    events = await stream(client, path, inputs="the cat", parameters=parameters)

    shown = [TokenEvent.model_validate(event) for event in events]
    assert [event.index for event in shown] == list(range(1, len(shown) + 1))
    assert "the cat" + "".join(each.token.text for each in shown) == whole["generated_text"]
    assert [event.generated_text for event in shown[:-1]] == [None] * (len(shown) - 1)
    assert shown[-1].generated_text == whole["generated_text"]
    assert shown[-1].details is not None
    assert (shown[-1].details.input_length, shown[-1].details.seed) == (5, 3)


async def test_the_root_answers_with_a_list(client: httpx.AsyncClient) -> None:
    one = await post(client, "/generate", inputs="A", parameters=DRAWN)

    assert await post(client, "/", inputs="A", parameters=DRAWN) == [one]


async def test_several_texts_are_a_list(client: httpx.AsyncClient) -> None:
    one = await post(client, "/generate", inputs="A", parameters=DRAWN)
    three = await post(
        client, "/generate", inputs="A", parameters={**DRAWN, "num_return_sequences": 3}
    )

    assert three[0] == one
    assert len({each["generated_text"] for each in three}) == 3


async def test_a_label_stands_for_a_text(client: httpx.AsyncClient) -> None:
    response = await client.post("/generate", json={"label": "positive", "parameters": DRAWN})

    assert response.headers["x-model-name"] == GRU
    assert "inference;dur=" in response.headers["server-timing"]
    assert response.json()["generated_text"]


@pytest.mark.parametrize(
    ("parameters", "is_drawn"),
    [
        ({}, False),
        ({"seed": 1}, False),
        ({"temperature": 1.0}, False),
        ({"do_sample": True, "seed": 1}, True),
        ({"temperature": 0.7, "seed": 1}, True),
        ({"top_k": 50, "seed": 1}, True),
        ({"top_p": 0.95, "seed": 1, "do_sample": False}, True),
    ],
)
async def test_tokens_are_drawn_when_tgi_would(
    client: httpx.AsyncClient, parameters: dict[str, Any], is_drawn: bool
) -> None:
    greedy = await post(client, "/generate", inputs="the", parameters={"max_new_tokens": 15})
    asked = {"max_new_tokens": 15, "details": True, **parameters}
    answer = await post(client, "/generate", inputs="the", parameters=asked)

    assert (answer["generated_text"] != greedy["generated_text"]) == is_drawn
    assert answer["details"]["seed"] == (1 if is_drawn else None)


@pytest.mark.parametrize(
    ("fields", "status", "detail"),
    [
        ({}, 422, "it has no `inputs`; send a text"),
        ({"inputs": 3}, 422, "`inputs` must be a string, got a number"),
        ({"inputs": "a", "parameters": {"temperature": 0}}, 422, "must be above 0"),
        ({"inputs": "a", "parameters": {"top_p": 1.5}}, 422, "must be at most 1"),
        ({"inputs": "a", "parameters": {"top_k": 0}}, 422, "must be at least 1"),
        ({"inputs": "a", "parameters": {"seed": -1}}, 422, "must be at least 0"),
        ({"inputs": "a", "parameters": {"seed": 2**64}}, 422, "must be below 18446744073709551616"),
        ({"inputs": "a", "parameters": {"stop": "x"}}, 422, "must be an array, got a string"),
        ({"inputs": "a", "parameters": {"stop": [""]}}, 422, "is empty"),
        ({"inputs": "a", "parameters": {"typical_p": 0.5}}, 422, "`parameters.typical_p` is not"),
        ({"inputs": "a", "parameters": {"watermark": True}}, 422, "is not supported; send false"),
        ({"inputs": "a", "parameters": {"best_of": 2}}, 422, "must be at most 1"),
        ({"inputs": "a", "parameters": {"max_new_tokens": 999}}, 422, "limit of 200 of model"),
        ({"inputs": "a", "parameters": {"model": "x"}}, 404, f"there are {GRU}, {LSTM}"),
        ({"inputs": "b" * 99}, 413, "99 tokens, above the limit of 64"),
        ({"features": []}, 422, "`features` is empty"),
        ({"features": [1.5]}, 422, "takes no label and no features"),
        (
            {"inputs": "a", "stream": True, "parameters": {"num_return_sequences": 2}},
            422,
            "several texts cannot be streamed",
        ),
    ],
)
async def test_generate_says_what_is_wrong(
    client: httpx.AsyncClient, fields: dict[str, Any], status: int, detail: str
) -> None:
    found, said = await refuse(client, "/generate", **fields)

    assert (found, detail in said) == (status, True), said


async def test_an_error_within_a_stream_is_its_last_event(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post(
        "/generate",
        json={
            "inputs": "A",
            "stream": True,
            "timeout_ms": 1,
            "parameters": {"max_new_tokens": 200, "do_sample": True},
        },
    )

    if response.status_code == 200:
        last = json.loads(response.text.rstrip().rpartition("data: ")[2])
        assert "deadline" in last["error"]
    else:
        assert response.status_code == 504


async def test_a_model_says_what_it_takes(client: httpx.AsyncClient) -> None:
    models = {model["name"]: model for model in (await client.get("/models")).json()}

    assert models[LSTM]["condition"] is None
    assert models[GRU]["condition"] == {"labels": ["negative", "positive"], "num_features": None}
    assert models[GRU]["task"] == "language"


async def test_requests_are_counted_by_model(client: httpx.AsyncClient) -> None:
    await post(client, "/v1/completions", prompt="a")
    await refuse(client, "/generate", inputs="a", parameters={"max_new_tokens": 999})

    app = client._transport.app  # type: ignore[attr-defined]
    counts = samples(app, "seqserve_requests_total")
    assert counts[(LSTM, "ok")] == 1
    assert counts[("none", "invalid")] == 1


def test_the_shapes_are_documented() -> None:
    for shape in (GenerateResponse, TokenEvent, Completion, ModelCards):
        assert TypeAdapter(shape).json_schema()["properties"]


async def test_a_text_is_answered_on_both_wires(answering: httpx.AsyncClient) -> None:
    asked = {"max_new_tokens": 20, "temperature": 0.9, "seed": 3, "details": True}
    answer = await post(answering, "/generate", inputs="오늘 너무 피곤해", parameters=asked)
    fields = {"prompt": "오늘 너무 피곤해", "max_tokens": 20, "temperature": 0.9, "seed": 3}
    completion = await post(answering, "/v1/completions", **fields)
    events = await stream(
        answering, "/generate_stream", inputs="오늘 너무 피곤해", parameters=asked
    )

    shown = GenerateResponse.model_validate(answer)
    assert shown.details is not None
    assert "".join(token.text for token in shown.details.tokens) == shown.generated_text
    assert events[-1]["generated_text"] == shown.generated_text
    assert completion["choices"][0]["text"] == shown.generated_text
    assert await post(answering, "/", inputs="오늘 너무 피곤해", parameters=asked) == [answer]
    cards = ModelCards.model_validate((await answering.get("/v1/models")).json())
    assert [card.id for card in cards.data] == ["tiny-text2text-lstm"]


@pytest.mark.parametrize(
    ("path", "fields", "status", "detail"),
    [
        ("/generate", {"inputs": ""}, 422, "answers a text, and there is none; send one"),
        ("/generate", {"inputs": "가", "label": "good"}, 422, "takes no label and no features"),
        (
            "/generate",
            {"inputs": "가", "parameters": {"return_full_text": True}},
            422,
            "answers a text instead of going on from it; leave out return_full_text",
        ),
        ("/v1/completions", {"prompt": "가", "echo": True}, 422, "and echo"),
        ("/generate", {"inputs": "가" * 300}, 413, "above the limit of 64 of model"),
    ],
)
async def test_what_cannot_be_answered_is_said(
    answering: httpx.AsyncClient, path: str, fields: dict[str, Any], status: int, detail: str
) -> None:
    found, said = await refuse(answering, path, **fields)

    assert (found, detail in said) == (status, True), said
