from typing import Any

import pytest

from service.answers import TagOptions
from service.http.schemas.tag import TagRequest
from tests.service.http.schemas.faults import describe


def test_tokens_outside_are_left_out_by_default() -> None:
    body = TagRequest.model_validate({"inputs": "x"})
    assert body.options == TagOptions(aggregation="none", ignored=frozenset({"O"}))


def test_every_parameter_with_an_effect_is_an_option() -> None:
    parameters = {
        "aggregation_strategy": "first",
        "ignore_labels": [],
        "stride": 3,
        "render": True,
        "model": "mine",
    }
    body = TagRequest.model_validate({"inputs": ["x", "y"], "parameters": parameters})
    assert (body.texts, body.is_single) == (["x", "y"], False)
    assert body.options == TagOptions("mine", "first", frozenset(), render=True)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"aggregation_strategy": "last"}, "`parameters.aggregation_strategy` must be 'none', "),
        ({"stride": -1}, "`parameters.stride` must be at least 0"),
        ({"details": True}, "`parameters.details` has no `states`"),
    ],
)
def test_fault_is_one_sentence(parameters: dict[str, Any], sentence: str) -> None:
    assert describe(TagRequest, {"inputs": "x", "parameters": parameters}).startswith(sentence)
