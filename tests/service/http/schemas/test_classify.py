from typing import Any

import pytest

from service.http.schemas.classify import ClassifyRequest
from tests.service.http.schemas.faults import describe


@pytest.mark.parametrize("fields", [{"inputs": "x"}, {"text": "x"}, {"inputs": None, "text": "x"}])
def test_text_is_accepted_for_inputs(fields: dict[str, Any]) -> None:
    assert ClassifyRequest.model_validate(fields).inputs == "x"


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
