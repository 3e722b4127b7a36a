"""The wires of TGI and OpenAI over real models with random weights."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from service.http.app import create_app
from service.http.wires.openai import Completion, ModelCards
from service.http.wires.tgi import GenerateResponse, TokenEvent
from service.settings import Settings
from tests.service.http.fakes import connect, samples

LSTM, GRU = "tiny-language-lstm", "tiny-language-gru"
DRAWN = {"max_new_tokens": 20, "temperature": 0.9, "seed": 3}


@pytest.fixture
async def client(tiny_languages: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(models_dir=tiny_languages, device="cpu"))
    await app.context.registry.start()
    async with connect(app) as client:
        yield client
    await app.context.registry.stop()


async def post(client: httpx.AsyncClient, path: str, **fields: Any) -> Any:
    response = await client.post(path, json=fields)
    assert response.status_code == 200, response.text
    return response.json()


async def stream(client: httpx.AsyncClient, path: str, **fields: Any) -> list[Any]:
    """The data of the events."""
    response = await client.post(path, json={"stream": True, **fields})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in response.text.split("\n") if line]
    assert all(line.startswith("data: ") for line in lines)
    data = [line.removeprefix("data: ") for line in lines]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


async def refuse(client: httpx.AsyncClient, path: str, **fields: Any) -> tuple[int, str]:
    response = await client.post(path, json=fields)
    return response.status_code, response.json()["detail"]


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


async def test_completions_are_openais(client: httpx.AsyncClient) -> None:
    asked = {"model": LSTM, "prompt": "the cat", "max_tokens": 20, "seed": 3, "user": "me"}
    answer = await post(client, "/v1/completions", **asked, temperature=0.9)
    same = await post(client, "/generate", inputs="the cat", parameters=DRAWN)

    shown = Completion.model_validate(answer)
    assert shown.id.startswith("cmpl-")
    assert (shown.model, shown.object, len(shown.choices)) == (LSTM, "text_completion", 1)
    assert shown.choices[0].text == same["generated_text"]
    assert shown.usage is not None
    assert shown.usage.prompt_tokens == 5
    assert shown.usage.total_tokens == 5 + shown.usage.completion_tokens


async def test_a_completion_for_each_prompt_and_number(client: httpx.AsyncClient) -> None:
    asked = {"prompt": ["the cat", "A"], "n": 2, "seed": 4, "max_tokens": 12}
    answer = await post(client, "/v1/completions", **asked, echo=True)
    alone = await post(client, "/v1/completions", **(asked | {"prompt": "A"}))

    texts = [choice["text"] for choice in answer["choices"]]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert [text[:7] for text in texts[:2]] == ["the cat"] * 2
    assert texts[2:] == ["A" + choice["text"] for choice in alone["choices"]]
    assert answer["usage"]["prompt_tokens"] == 6


async def test_completions_are_streamed_and_done(client: httpx.AsyncClient) -> None:
    asked = {
        "prompt": ["the cat", "A"],
        "n": 2,
        "seed": 4,
        "max_tokens": 12,
        "echo": True,
        "stop": "an",
    }
    whole = await post(client, "/v1/completions", **asked)

    events = await stream(
        client, "/v1/completions", **asked, stream_options={"include_usage": True}
    )

    *deltas, usage, done = events
    assert done == "[DONE]"
    assert (usage["choices"], usage["usage"]) == ([], whole["usage"])
    chosen = [delta["choices"][0] for delta in deltas]
    for choice in whole["choices"]:
        own = [each for each in chosen if each["index"] == choice["index"]]
        assert "".join(each["text"] for each in own) == choice["text"]
        assert [each["finish_reason"] for each in own][-1] == choice["finish_reason"]
    assert {delta["id"] for delta in deltas} == {usage["id"]}


async def test_a_temperature_of_zero_is_greedy(client: httpx.AsyncClient) -> None:
    greedy = await post(client, "/generate", inputs="the", parameters={"max_new_tokens": 16})
    answer = await post(client, "/v1/completions", prompt="the", temperature=0)

    assert answer["choices"][0]["text"] == greedy["generated_text"]


@pytest.mark.parametrize(
    ("fields", "status", "detail"),
    [
        ({"prompt": [1, 2]}, 422, "must be a string or an array of strings, got a number"),
        ({"prompt": []}, 422, "is an empty array"),
        ({"prompt": "a", "logprobs": 1}, 422, "`logprobs` is not known; known are"),
        ({"prompt": "a", "suffix": "x"}, 422, "`suffix` is not known"),
        ({"prompt": "a", "frequency_penalty": 0.5}, 422, "must be at most 0"),
        ({"prompt": "a", "temperature": 2.5}, 422, "must be at most 2"),
        ({"prompt": "a", "max_tokens": 0}, 422, "must be at least 1"),
        ({"prompt": "a", "n": 99}, 422, "99 texts for one prompt are above the limit of 16"),
        ({"prompt": "a", "stop": ["x"] * 9}, 422, "9 stop strings are above the limit of 8"),
        ({"prompt": "a", "model": "gpt"}, 404, f"there are {GRU}, {LSTM}"),
        ({"prompt": "a", "model": GRU}, 422, "needs a `label`; send one of negative, positive"),
    ],
)
async def test_completions_say_what_is_wrong(
    client: httpx.AsyncClient, fields: dict[str, Any], status: int, detail: str
) -> None:
    found, said = await refuse(client, "/v1/completions", **fields)

    assert (found, detail in said) == (status, True), said


async def test_models_are_listed_as_openai_does(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/v1/models")).json()
    one = await client.get(f"/v1/models/{LSTM}")
    other = await client.get("/v1/models/gpt")

    assert [card.id for card in ModelCards.model_validate(listed).data] == [GRU, LSTM]
    assert one.json() == {"id": LSTM, "object": "model", "created": 0, "owned_by": "seqserve"}
    assert other.status_code == 404


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


@pytest.fixture
async def answering(tiny_answerers: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(models_dir=tiny_answerers, device="cpu"))
    await app.context.registry.start()
    async with connect(app) as client:
        yield client
    await app.context.registry.stop()


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
