"""OpenAI's bodies as options, and texts in its shape; `routes/test_completions` has both."""

from typing import Any

import pytest

from service.answers import (
    Finish,
    GeneratedText,
    GeneratedToken,
    GenerateOptions,
    Prompt,
    TokenDelta,
)
from service.http.wires.openai import CompletionRequest, CompletionWriter, describe_error


def read(**fields: Any) -> CompletionRequest:
    return CompletionRequest.model_validate({"prompt": "A: ", **fields})


def write(request: CompletionRequest) -> CompletionWriter:
    return CompletionWriter(request, "17", "m")


def make_text(finish: Finish = "eos", num_tokens: int = 2) -> GeneratedText:
    return GeneratedText("A: ", "the cat", finish, 42, 3, num_tokens)


def test_defaults_are_those_of_openai() -> None:
    assert read().options == GenerateOptions(max_new_tokens=16, temperature=1.0)
    assert CompletionRequest().prompts == [Prompt("")]


def test_every_field_is_an_option() -> None:
    request = read(
        prompt=["a", "b"],
        model="m",
        max_tokens=7,
        temperature=0,
        top_p=0.9,
        top_k=3,
        repetition_penalty=1.2,
        n=2,
        seed=8,
        stop=["x", "y"],
        echo=True,
    )
    assert request.prompts == [Prompt("a"), Prompt("b")]
    assert request.options == GenerateOptions(
        model="m",
        max_new_tokens=7,
        temperature=0.0,
        top_k=3,
        top_p=0.9,
        repetition_penalty=1.2,
        seed=8,
        stop=("x", "y"),
        num_texts=2,
        with_prompt=True,
    )


def test_one_stop_string_needs_no_array() -> None:
    assert read(stop="x").options.stop == ("x",)


@pytest.mark.parametrize(
    ("finish", "reason"), [("eos", "stop"), ("stop", "stop"), ("length", "length")]
)
def test_a_text_says_why_it_ends(finish: Finish, reason: str) -> None:
    (choice,) = write(read()).show([make_text(finish)])["choices"]

    assert choice == {"index": 0, "text": "the cat", "logprobs": None, "finish_reason": reason}


def test_an_answer_names_request_and_model() -> None:
    shown = write(read()).show([make_text()])

    assert (shown["id"], shown["object"], shown["model"]) == ("cmpl-17", "text_completion", "m")


def test_a_prompt_is_counted_once_however_many_texts_follow_it() -> None:
    texts = [make_text(num_tokens=count) for count in (1, 2, 3, 4)]
    usage = write(read(prompt=["a", "b"], n=2)).show(texts)["usage"]

    assert usage == {"prompt_tokens": 6, "completion_tokens": 10, "total_tokens": 16}


def test_echo_puts_the_prompt_before_each_text() -> None:
    writer = write(read(prompt=["a", "b"], n=2, echo=True))

    begun = [event["choices"][0] for event in writer.show_prompts()]
    assert [(each["index"], each["text"]) for each in begun] == [
        *((0, "a"), (1, "a"), (2, "b"), (3, "b")),
    ]
    assert writer.show([make_text()])["choices"][0]["text"] == "A: the cat"
    assert write(read()).show_prompts() == []


def test_a_token_without_text_is_no_event_unless_it_ends_the_text() -> None:
    writer = write(read())
    silent = GeneratedToken(5, "", -0.5)

    assert writer.show_delta(TokenDelta(0, 0, silent)) is None
    event = writer.show_delta(TokenDelta(0, 1, silent, make_text("length")))
    assert event is not None
    assert event["choices"][0]["finish_reason"] == "length"


def test_usage_is_announced_in_each_event_if_the_last_one_has_it() -> None:
    asked = write(read(stream=True, stream_options={"include_usage": True}))
    event = asked.show_delta(TokenDelta(0, 0, GeneratedToken(5, "the", -0.5)))
    plain = write(read(stream=True)).show_delta(TokenDelta(0, 0, GeneratedToken(5, "the", -0.5)))

    assert event is not None
    assert plain is not None
    assert (event["usage"], "usage" in plain) == (None, False)
    assert asked.show_end([make_text()])["usage"]["total_tokens"] == 5


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "invalid_request_error"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (503, "server_error"),
    ],
)
def test_an_error_has_openais_type(status: int, kind: str) -> None:
    assert describe_error(status, "why").model_dump(exclude_none=True) == {
        "message": "why",
        "type": kind,
    }
