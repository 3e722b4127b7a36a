"""Fields that bodies of several tasks have, and what pydantic would let through in them."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic.config import JsonDict

from service.http.requests.faults import fault, kind_of


def check_texts(value: object) -> object:
    """Refuses what is not a text before pydantic tries every branch of the union."""
    if isinstance(value, str):
        items: Sequence[object] = [value]
    elif isinstance(value, list):
        items = value
    else:
        raise fault("must be a string or an array of strings, got {kind}", kind=kind_of(value))
    if not items:
        raise fault("is an empty array")
    for index, item in enumerate(items):
        if not isinstance(item, str):
            raise fault("has {kind} at index {index}", kind=kind_of(item), index=index)
    if not any(items):
        raise fault("is empty")
    return value


def refuse_bool(value: object) -> object:
    # pydantic takes true for 1.
    if isinstance(value, bool):
        raise fault("must be a whole number, got true or false")
    return value


def refuse_bool_for_share(value: object) -> object:
    if isinstance(value, bool):
        raise fault("must be a number from 0 to 1, got true or false")
    return value


def refuse_number(value: object) -> object:
    # pydantic takes 1 for true.
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise fault("must be true or false, got a number")
    return value


# For the documentation alone: the pipeline says more of a blank text than a pattern can. Python,
# unlike ECMA 262, takes U+001C to U+001F and U+0085 for white space; U+00AD is not read.
SPACE = r"\s\u001c-\u001f\u0085\u00ad"
NOT_BLANK: JsonDict = {"pattern": rf"^[{SPACE}]*[^{SPACE}]"}
Flag = Annotated[bool, BeforeValidator(refuse_number)]
Text = Annotated[str, Field(min_length=1, json_schema_extra=NOT_BLANK)]
# Among others a blank text is translated, but not classified.
Texts = Annotated[
    Text | Annotated[list[str], Field(min_length=1, json_schema_extra={"contains": NOT_BLANK})],
    BeforeValidator(check_texts),
]
Inputs = Annotated[
    Text
    | Annotated[
        list[Annotated[str, Field(json_schema_extra=NOT_BLANK)]],
        Field(min_length=1),
    ],
    BeforeValidator(check_texts),
]
# Far above every real limit; it keeps numbers with thousands of digits out of messages.
Count = Annotated[int, Field(ge=0, le=10**9), BeforeValidator(refuse_bool)]
PositiveCount = Annotated[int, Field(ge=1, le=10**9), BeforeValidator(refuse_bool)]
Share = Annotated[
    float, Field(ge=0.0, le=1.0, allow_inf_nan=False), BeforeValidator(refuse_bool_for_share)
]
ModelName = Annotated[str, Field(max_length=128)]
Code = Annotated[str, Field(min_length=1, max_length=35)]


def list_texts(texts: str | list[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else texts
