"""TGI's bodies as options, and texts in its shape; `routes/test_generation` has both together."""

from typing import Any

import pytest

from service.answers import (
    GeneratedText,
    GeneratedToken,
    GenerateOptions,
    Prompt,
    TokenDelta,
)
from service.errors import DeadlineExceeded
from service.http.wires.tgi import GenerateRequest, show_delta, show_error, show_text

TOKENS = [GeneratedToken(5, "the", -0.5), GeneratedToken(1, " cat", -1.0, is_special=True)]
TEXT = GeneratedText("A: ", "the cat", "eos", 42, 3, 2, TOKENS)


def read(**fields: Any) -> GenerateRequest:
    return GenerateRequest.model_validate({"inputs": "A: ", **fields})


def test_without_parameters_tokens_are_the_likeliest() -> None:
    assert read().options == GenerateOptions(keeps_stop=True)
    assert read().prompts == [Prompt("A: ")]


def test_every_parameter_is_an_option() -> None:
    parameters = {
        "model": "m",
        "max_new_tokens": 7,
        "temperature": 0.5,
        "top_k": 3,
        "top_p": 0.9,
        "repetition_penalty": 1.2,
        "seed": 8,
        "stop": ["x"],
        "num_return_sequences": 2,
        "truncate": 5,
        "return_full_text": True,
        "details": True,
    }
    assert read(parameters=parameters).options == GenerateOptions(
        model="m",
        max_new_tokens=7,
        temperature=0.5,
        top_k=3,
        top_p=0.9,
        repetition_penalty=1.2,
        seed=8,
        stop=("x",),
        keeps_stop=True,
        num_texts=2,
        truncate=5,
        with_prompt=True,
        details=True,
    )


@pytest.mark.parametrize(
    ("parameters", "temperature"),
    [
        ({"do_sample": True}, 1.0),
        ({"temperature": 0.5}, 0.5),
        ({"top_k": 5}, 1.0),
        ({"top_p": 0.5}, 1.0),
        ({"temperature": 1.0, "top_p": 1.0}, 0.0),
        ({"seed": 3}, 0.0),
    ],
)
def test_what_only_a_draw_has_a_use_for_makes_it_one(
    parameters: dict[str, Any], temperature: float
) -> None:
    assert read(parameters=parameters).options.temperature == temperature


@pytest.mark.parametrize("condition", [{"label": "good"}, {"features": [1.0, 2.0]}])
def test_a_condition_may_stand_for_the_text(condition: dict[str, Any]) -> None:
    (prompt,) = GenerateRequest.model_validate(condition).prompts

    assert prompt.text == ""
    assert (prompt.label, prompt.features) == (
        condition.get("label"),
        tuple(condition["features"]) if "features" in condition else None,
    )


def test_a_text_is_shown_without_its_prompt_unless_that_is_asked_for() -> None:
    assert show_text(TEXT, read()) == {"generated_text": "the cat"}
    whole = read(parameters={"return_full_text": True})
    assert show_text(TEXT, whole) == {"generated_text": "A: the cat"}


def test_details_say_why_a_text_ends_and_of_what_it_is() -> None:
    shown = show_text(TEXT, read(parameters={"details": True, "do_sample": True}))["details"]

    assert (shown["finish_reason"], shown["generated_tokens"], shown["seed"]) == (
        "eos_token",
        2,
        42,
    )
    assert shown["tokens"][1] == {"id": 1, "text": " cat", "logprob": -1.0, "special": True}


def test_what_is_not_drawn_has_no_seed() -> None:
    assert show_text(TEXT, read(parameters={"details": True}))["details"]["seed"] is None


def test_the_last_event_of_a_stream_has_the_whole_text() -> None:
    first, last = (
        show_delta(TokenDelta(0, place, TOKENS[place], TEXT if place else None), read())
        for place in range(2)
    )

    assert (first["index"], first["generated_text"], first["details"]) == (1, None, None)
    assert (last["index"], last["generated_text"]) == (2, "the cat")
    assert last["details"]["input_length"] == 3


def test_an_error_within_a_stream_says_what_it_is() -> None:
    shown = show_error(DeadlineExceeded("too late"))

    assert shown == {"error": "too late", "error_type": "generation"}
