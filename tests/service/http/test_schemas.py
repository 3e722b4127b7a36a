from typing import Any

import pytest
from pydantic import ValidationError

from service.http.requests.faults import describe_faults
from service.http.schemas import (
    Body,
    ClassifyRequest,
    DetectRequest,
    TranslateRequest,
    TranslateResponse,
)


def describe(model: type[Body], fields: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(fields)
    return describe_faults(model, caught.value.errors())


def test_translation_defaults_are_those_of_libretranslate() -> None:
    body = TranslateRequest.model_validate({"q": "x", "target": "de"})
    assert (body.source, body.format, body.alternatives) == ("auto", "text", 0)


def test_null_stands_for_a_missing_field() -> None:
    body = TranslateRequest.model_validate({"q": "x", "target": "de", "alternatives": None})
    assert body.alternatives == 0


def test_unknown_field_of_another_server_is_ignored() -> None:
    assert ClassifyRequest.model_validate({"inputs": "x", "options": {"use_cache": 1}})


def test_numbers_of_a_form_are_read() -> None:
    fields = {"q": "x", "target": "de", "beam_size": "3", "attention": "true"}
    body = TranslateRequest.model_validate(fields)
    assert (body.beam_size, body.attention) == (3, True)


@pytest.mark.parametrize("fields", [{"inputs": "x"}, {"text": "x"}, {"inputs": None, "text": "x"}])
def test_text_is_accepted_for_inputs(fields: dict[str, Any]) -> None:
    assert ClassifyRequest.model_validate(fields).inputs == "x"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"q": None}, "`q` is missing or null; send a text, or an array"),
        ({"q": 3}, "`q` must be a string or an array of strings, got a number"),
        ({"q": {}}, "`q` must be a string or an array of strings, got an object"),
        ({"q": ["x", None]}, "`q` has null at index 1"),
        ({"q": [["x"]]}, "`q` has an array at index 0"),
        ({"q": []}, "`q` is an empty array"),
        ({"q": ""}, "`q` is empty"),
        ({"q": ["", ""]}, "`q` is empty"),
        ({"target": None}, "`target` is missing or null; send a language code"),
        ({"target": 5}, "`target` must be a string, got a number"),
        ({"target": ""}, "`target` is empty"),
        ({"target": "x" * 36}, "`target` is longer than 35 characters"),
        ({"source": ["en"]}, "`source` must be a string, got an array"),
        ({"format": "pdf"}, "`format` must be 'text' or 'html'"),
        ({"alternatives": -1}, "`alternatives` must be at least 0"),
        ({"alternatives": 1.5}, "`alternatives` must be a whole number, got a number"),
        ({"alternatives": True}, "`alternatives` must be a whole number, got true or false"),
        ({"alternatives": "many"}, "`alternatives` must be a whole number, got a string"),
        ({"glossary": 3}, "`glossary` must be a string or an object of strings, got a number"),
        ({"glossary": ""}, "`glossary` must have 1 to 64 characters as a name"),
        ({"glossary": {"dog": 1}}, "`glossary` has a number as a translation"),
        ({"glossary": {"dog": ""}}, "`glossary` has a term or a translation that does not have 1"),
        ({"beam_size": 10**400}, "`beam_size` must be at most 1000000000"),
        ({"beam_size": 0}, "`beam_size` must be at least 1"),
        ({"beam_size": float("inf")}, "`beam_size` must be a whole number, got a number"),
        ({"timeout_ms": 0}, "`timeout_ms` must be at least 1"),
        ({"timeout_ms": -(10**400)}, "`timeout_ms` must be at least 1"),
        ({"min_score": True}, "`min_score` must be a number from 0 to 1, got true or false"),
        ({"stream": 1}, "`stream` must be true or false, got a number"),
        ({"attention": "maybe"}, "`attention` must be true or false, got a string"),
        ({"api_key": 5}, "`api_key` must be a string, got a number"),
    ],
)
def test_fault_in_a_translation_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    assert describe(TranslateRequest, {"q": "x", "target": "de", **changes}).startswith(sentence)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "`inputs` is missing or null; send a text"),
        ({"inputs": "x", "text": "y"}, "The body is not right: send either `inputs` or `text`"),
        ({"inputs": {"text": "x"}}, "`inputs` must be a string or an array of strings"),
        ({"inputs": "x", "parameters": 3}, "`parameters` must be an object, got a number"),
        ({"inputs": "x", "parameters": {"topk": 1}}, "`parameters.topk` is not known; known are"),
        ({"inputs": "x", "parameters": {"top_k": 0}}, "`parameters.top_k` must be at least 1"),
        ({"inputs": "x", "parameters": {"top_k": True}}, "`parameters.top_k` must be a whole"),
        (
            {"inputs": "x", "parameters": {"function_to_apply": "relu"}},
            "`parameters.function_to_apply` must be 'softmax', 'sigmoid' or 'none'",
        ),
        ({"inputs": "x", "parameters": {"model": 1}}, "`parameters.model` must be a string"),
        (
            {"inputs": "x", "parameters": {"truncation": "only_second"}},
            "`parameters.truncation` must be true or false, got a string",
        ),
        ({"inputs": "x", "parameters": {"max_length": 0}}, "`parameters.max_length` must be at"),
        ({"inputs": "x", "truncate": 3}, "`truncate` must be true or false, got a number"),
    ],
)
def test_fault_in_a_classification_is_one_sentence(fields: dict[str, Any], sentence: str) -> None:
    assert describe(ClassifyRequest, fields).startswith(sentence)


@pytest.mark.parametrize("fields", [{}, {"q": ""}, {"q": ["x"]}, {"q": 1}])
def test_detection_takes_one_text(fields: dict[str, Any]) -> None:
    assert describe(DetectRequest, fields).startswith("`q` ")


def test_sentence_never_repeats_what_was_sent() -> None:
    parameters = {"my secret text that is a key": 1}
    sentence = describe(ClassifyRequest, {"inputs": "x", "parameters": parameters})
    assert "secret" not in sentence
    assert "secret" not in describe(
        TranslateRequest, {"q": "x", "target": "de", "format": "secret"}
    )


def test_response_is_spelt_as_libretranslate_does() -> None:
    shown = TranslateResponse(translated_text="x")
    assert shown.model_dump(by_alias=True, exclude_none=True) == {"translatedText": "x"}


@pytest.mark.parametrize(
    ("parameters", "top_k"),
    [
        ({}, None),
        ({"return_all_scores": True}, None),
        ({"return_all_scores": False}, 1),
        ({"return_all_scores": True, "top_k": 1}, None),
        ({"return_all_scores": False, "top_k": 2}, 1),
        ({"top_k": 2, "return_all_scores": None}, 2),
    ],
)
def test_all_scores_are_those_of_any_rank(parameters: dict[str, Any], top_k: int | None) -> None:
    body = ClassifyRequest.model_validate({"inputs": "x", "parameters": parameters})
    assert body.options.top_k == top_k


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ({}, None),
        ({"truncate": True}, "end"),
        ({"truncate": "true"}, "end"),
        ({"truncate": False}, None),
        ({"parameters": {"truncate": True}}, "end"),
        ({"parameters": {"truncation": True}}, "end"),
        ({"parameters": {"truncation": "only_first"}}, "end"),
        ({"parameters": {"truncation": "longest_first"}}, "end"),
        ({"parameters": {"truncation": "do_not_truncate"}}, None),
        ({"parameters": {"truncation": None, "truncate": None}}, None),
    ],
)
def test_truncation_is_asked_for_in_the_ways_of_hugging_face(
    fields: dict[str, Any], end: str | None
) -> None:
    assert ClassifyRequest.model_validate({"inputs": "x", **fields}).options.truncate == end
