"""What all bodies have in common.

Limits that an operator sets are not known here: the pipeline checks them.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from service.http.schemas.fields import PositiveCount


def drop_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: field for name, field in value.items() if field is not None}
    return value


class Body(BaseModel):
    """A request body; null stands for a field that is not there.

    Unknown fields are ignored: real clients send fields of other servers.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    api_key: Annotated[str | None, Field(description="an API key, where the server wants one")] = (
        None
    )

    @model_validator(mode="before")
    @classmethod
    def drop_nulls(cls, value: Any) -> Any:
        return drop_nulls(value)


class TimedBody(Body):
    timeout_ms: Annotated[
        PositiveCount | None,
        Field(description="the milliseconds after which the answer is of no use"),
    ] = None


class Parameters(BaseModel):
    """An object of Hugging Face's within a body; null stands for a parameter that is not there.

    Unknown parameters are refused: what they ask for would not be done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def drop_nulls(cls, value: Any) -> Any:
        return drop_nulls(value)


class Reply(BaseModel):
    """A response body; the field names on the wire are camelCase, as LibreTranslate's."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)
