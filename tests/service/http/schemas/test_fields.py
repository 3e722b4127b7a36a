from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from service.http.schemas.fields import Count, Flag, Inputs, PositiveCount, Share, Texts, list_texts


def find_fault(kind: Any, value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    return caught.value.errors()[0]["msg"]


@pytest.mark.parametrize("kind", [Texts, Inputs])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "must be a string or an array of strings, got a number"),
        ([], "is an empty array"),
        (["x", None], "has null at index 1"),
        (["", ""], "is empty"),
    ],
)
def test_what_is_no_text_is_told_in_one_sentence(kind: Any, value: object, message: str) -> None:
    assert find_fault(kind, value) == message


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Count, True, "must be a whole number, got true or false"),
        (PositiveCount, False, "must be a whole number, got true or false"),
        (Share, True, "must be a number from 0 to 1, got true or false"),
        (Flag, 1, "must be true or false, got a number"),
    ],
)
def test_a_flag_is_not_a_number(kind: Any, value: object, message: str) -> None:
    assert find_fault(kind, value) == message


def test_one_text_is_a_list_of_one() -> None:
    assert list_texts("a") == list_texts(["a"]) == ["a"]
