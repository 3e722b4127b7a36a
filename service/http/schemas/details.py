"""What may be asked for by `details` beside an answer, and how it is shown."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError

from service.answers import StatesOptions
from service.http.requests.faults import fault, kind_of
from service.http.schemas.bodies import Parameters
from service.http.schemas.fields import Count, Flag

FLAG: TypeAdapter[bool] = TypeAdapter(Flag)


class StatesParameters(Parameters):
    """Which states of a model are wanted; null stands for the choice of the server."""

    layers: Annotated[
        tuple[Annotated[str, Field(max_length=32)], ...] | None,
        Field(min_length=1, description="an array of names of layers of GET /models"),
    ] = None
    units: Annotated[
        tuple[Count, ...] | None,
        Field(min_length=1, description="an array of numbers of units, from 0"),
    ] = None
    values: Annotated[
        tuple[Literal["hidden", "cell"], ...] | None,
        Field(min_length=1, description="an array of hidden, cell or both"),
    ] = None

    @property
    def options(self) -> StatesOptions:
        return StatesOptions(self.layers, self.units, self.values)


class Details(Parameters):
    """What is wanted beside the answer."""

    states: Annotated[
        StatesParameters | None,
        Field(description="an object with layers, units and values, or an empty one"),
    ] = None

    @property
    def state_options(self) -> StatesOptions | None:
        return None if self.states is None else self.states.options


def read_details(value: object) -> object:
    """Details may be asked for by true alone."""
    if isinstance(value, dict | Details):
        return value
    try:
        is_wanted = FLAG.validate_python(value)
    except ValidationError:
        raise fault("must be true, false or an object, got {kind}", kind=kind_of(value)) from None
    return {} if is_wanted else None


def read_states_details(value: object) -> object:
    """Details that have nothing but states."""
    details = read_details(value)
    if details == {}:
        raise fault("has no `states`")
    return details


WantedDetails = Annotated[
    Details | None, BeforeValidator(read_details, json_schema_input_type=bool | Details)
]
StatesDetails = Annotated[
    Details | None,
    BeforeValidator(read_states_details, json_schema_input_type=Literal[False] | Details),
    Field(description="an object with states, for what the model holds after each token"),
]


def find_states(details: Details | None) -> StatesOptions | None:
    return None if details is None else details.state_options


class ReadToken(BaseModel):
    """A token that a model read."""

    text: str
    start: Annotated[int, Field(description="in characters (code points) of the text")]
    end: int


class StateSeriesShown(BaseModel):
    """One unit: its value after each token."""

    layer: str
    unit: int
    value: Literal["hidden", "cell"]
    values: list[float]


class StatesShown(BaseModel):
    """What a model held after each token that it read."""

    tokens: list[ReadToken]
    series: list[StateSeriesShown]


class DetailsShown(BaseModel):
    """What was asked for by `details`."""

    states: StatesShown
