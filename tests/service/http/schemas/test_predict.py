from typing import Any

import pytest

from service.answers import ClassifyOptions
from service.http.schemas.predict import PredictRequest
from tests.service.http.schemas.faults import describe


@pytest.mark.parametrize(
    ("inputs", "texts", "is_single"),
    [
        ("a", ["a"], True),
        (["a"], ["a"], True),
        ([["a"]], ["a"], False),
        ([["a"], ["b"]], ["a", "b"], False),
    ],
)
def test_inputs_are_one_text_or_arrays_of_one(
    inputs: Any, texts: list[str], is_single: bool
) -> None:
    body = PredictRequest.model_validate({"inputs": inputs})
    assert (body.texts, body.is_single) == (texts, is_single)


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({}, ClassifyOptions()),
        ({"truncation_direction": "Left"}, ClassifyOptions()),
        ({"truncate": True}, ClassifyOptions(truncate="end")),
        ({"truncate": True, "truncation_direction": "Left"}, ClassifyOptions(truncate="start")),
        ({"raw_scores": True}, ClassifyOptions(function_to_apply="none")),
    ],
)
def test_every_field_with_an_effect_is_an_option(
    fields: dict[str, Any], options: ClassifyOptions
) -> None:
    assert PredictRequest.model_validate({"inputs": "x", **fields}).options == options


def test_a_pair_of_texts_is_refused() -> None:
    assert describe(PredictRequest, {"inputs": ["a", "b"]}).startswith("`inputs` is a pair of")
