"""OpenAI's wire over real models with random weights."""

from typing import Any

import httpx
import pytest

from service.http.wires.openai import Completion, ModelCards
from tests.service.http.routes.calls import post, refuse, stream

LSTM, GRU = "tiny-language-lstm", "tiny-language-gru"
DRAWN = {"max_new_tokens": 20, "temperature": 0.9, "seed": 3}


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
