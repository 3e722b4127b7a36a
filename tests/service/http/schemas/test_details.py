from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from service.answers import StatesOptions
from service.http.schemas.details import Details, StatesDetails, WantedDetails, find_states

WANTED: TypeAdapter[Details | None] = TypeAdapter(WantedDetails)
OF_STATES: TypeAdapter[Details | None] = TypeAdapter(StatesDetails)


def test_details_may_be_asked_for_by_true_alone() -> None:
    assert WANTED.validate_python(True) == Details()
    assert WANTED.validate_python("true") == Details()
    assert WANTED.validate_python(False) is None


@pytest.mark.parametrize("value", [[], "maybe", 1])
def test_what_asks_for_no_details_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="must be true, false or an object, got"):
        WANTED.validate_python(value)


@pytest.mark.parametrize("value", [True, {}])
def test_details_that_have_nothing_but_states_must_ask_for_them(value: object) -> None:
    with pytest.raises(ValidationError, match="has no `states`"):
        OF_STATES.validate_python(value)


@pytest.mark.parametrize(
    ("value", "options"),
    [
        (False, None),
        ({"states": {}}, StatesOptions(None, None, None)),
        (
            {"states": {"layers": ["encoder"], "units": [3], "values": ["cell"]}},
            StatesOptions(("encoder",), (3,), ("cell",)),
        ),
    ],
)
def test_states_are_those_asked_for(value: Any, options: StatesOptions | None) -> None:
    assert find_states(OF_STATES.validate_python(value)) == options
