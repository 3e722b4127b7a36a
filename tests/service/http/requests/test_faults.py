"""Faults of a body in one sentence, over a model that has one field of each kind."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from service.http.requests.faults import describe_faults, fault, kind_of


def refuse_nonsense(value: object) -> object:
    if value == "nonsense":
        raise fault("has {number} letters of nonsense", number=8)
    return value


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    depth: Annotated[int, Field(ge=1, le=9, description="a number from 1 to 9")] = 1
    kind: Literal["near", "far"] = "near"


class Outer(BaseModel):
    text: Annotated[
        str,
        Field(min_length=1, max_length=5, description="a short text"),
        BeforeValidator(refuse_nonsense),
    ]
    parts: Annotated[list[Inner], Field(min_length=1, description="an array of parts")] = [Inner()]
    inner: Annotated[Inner | None, Field(description="an object that says where")] = None
    ratio: Annotated[float, Field(gt=0.0, lt=1.0, description="a ratio")] = 0.5
    flag: bool = False

    @model_validator(mode="after")
    def refuse_both(self) -> "Outer":
        if self.flag and self.inner:
            raise fault("send either `flag` or `inner`")
        return self


def describe(**fields: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"text": "x", **fields})
    return describe_faults(Outer, caught.value.errors())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"text": ""}, "`text` is empty; send a short text."),
        ({"text": "x" * 6}, "`text` is longer than 5 characters; send a short text."),
        ({"text": 3}, "`text` must be a string, got a number; send a short text."),
        ({"text": "nonsense"}, "`text` has 8 letters of nonsense; send a short text."),
        ({"parts": []}, "`parts` is empty; send an array of parts."),
        ({"parts": "x"}, "`parts` must be an array, got a string; send an array of parts."),
        ({"ratio": 0}, "`ratio` must be above 0.0; send a ratio."),
        ({"ratio": 1}, "`ratio` must be below 1.0; send a ratio."),
        ({"ratio": "x"}, "`ratio` must be a number, got a string; send a ratio."),
        ({"flag": []}, "`flag` must be true or false, got an array; send another value."),
        ({"inner": 3}, "`inner` must be an object, got a number; send an object that says where."),
        ({"inner": {"depth": 0}}, "`inner.depth` must be at least 1; send a number from 1 to 9."),
        ({"inner": {"depth": 10}}, "`inner.depth` must be at most 9; send a number from 1 to 9."),
        ({"inner": {"depth": 1.5}}, "`inner.depth` must be a whole number, got a number; send a "),
        ({"inner": {"near": 1}}, "`inner.near` is not known; known are depth, kind."),
        ({"flag": True, "inner": {}}, "The body is not right: send either `flag` or `inner`."),
    ],
)
def test_a_fault_names_field_kind_limit_and_remedy(fields: dict[str, Any], sentence: str) -> None:
    assert describe(**fields).startswith(sentence)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({})

    sentence = describe_faults(Outer, caught.value.errors())
    assert sentence == "`text` is missing or null; send a short text."


def test_a_field_without_a_description_takes_that_of_the_one_around_it() -> None:
    sentence = describe(inner={"kind": "there"})

    assert sentence == "`inner.kind` must be 'near' or 'far'; send an object that says where."


def test_the_first_of_several_faults_is_described() -> None:
    assert describe(text="", ratio=9).startswith("`text` is empty")


@pytest.mark.parametrize("name", ["my secret", "x" * 41, "naïve", "a\nb"])
def test_a_name_that_is_not_plain_is_not_shown(name: str) -> None:
    sentence = describe(inner={name: 1})

    assert sentence.startswith("`inner.(a name that is not shown)` is not known")
    assert name not in sentence


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "true or false"),
        (1, "a number"),
        (1.5, "a number"),
        ("", "a string"),
        ([], "an array"),
        ({}, "an object"),
    ],
)
def test_kinds_have_their_names_in_json(value: object, kind: str) -> None:
    assert kind_of(value) == kind
