"""What is wrong with a body, in one sentence."""

import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails, PydanticCustomError

NAME = re.compile(r"[A-Za-z0-9_.-]{1,40}")


def kind_of(value: object) -> str:
    """What JSON calls the value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


def fault(message: str, **context: Any) -> PydanticCustomError:
    return PydanticCustomError("fault", message, context)


def describe_faults(model: type[BaseModel], errors: Sequence[ErrorDetails]) -> str:
    """The first fault in one sentence: field, kind, limit, remedy; never what the client sent."""
    error = errors[0]
    if not error["loc"]:
        return f"The body is not right: {error['msg']}."
    name = ".".join(safe_name(step) for step in error["loc"])
    path = [str(step) for step in error["loc"]]
    if error["type"] == "extra_forbidden":
        known = find_model(model, path[:-1]).model_fields
        return f"`{name}` is not known; known are {', '.join(known)}."
    described = find_description(model, path)
    return f"`{name}` {describe_problem(error)}; send {described or 'another value'}."


def safe_name(step: int | str) -> str:
    return str(step) if NAME.fullmatch(str(step)) else "(a name that is not shown)"


def find_model(model: type[BaseModel], path: Sequence[str]) -> type[BaseModel]:
    """The model that a path of field names leads to, or the last one on the way."""
    for name in path:
        field = model.model_fields.get(name)
        nested = find_nested(field.annotation) if field else None
        if nested is None:
            break
        model = nested
    return model


def find_nested(annotation: Any) -> type[BaseModel] | None:
    """The model of a field that holds one, or may."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def find_description(model: type[BaseModel], path: Sequence[str]) -> str | None:
    """What the field at a path is, or the closest one above it that says so."""
    for length in range(len(path), 0, -1):
        field = find_model(model, path[: length - 1]).model_fields.get(path[length - 1])
        if field and field.description:
            return field.description
    return None


# By the type of pydantic's error, with the names of its context.
PROBLEMS = {
    "missing": "is missing or null",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "greater_than": "must be above {gt}",
    "less_than": "must be below {lt}",
    "literal_error": "must be {expected}",
    "string_too_short": "is empty",
    "string_too_long": "is longer than {max_length} characters",
    "too_short": "is empty",
}


def describe_problem(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind == "fault":
        return error["msg"]
    if kind in PROBLEMS:
        return PROBLEMS[kind].format(**error.get("ctx", {}))
    return f"must be {wanted_kind(kind)}, got {kind_of(error['input'])}"


def wanted_kind(error_type: str) -> str:
    wanted = {
        "int": "a whole number",
        "finite": "a whole number",
        "bool": "true or false",
        "string": "a string",
        "float": "a number",
        "list": "an array",
        "tuple": "an array",
    }
    return wanted.get(error_type.partition("_")[0], "an object")
