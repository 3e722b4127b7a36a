from typing import Any

import pytest
from pydantic import ValidationError

from service.http.requests.faults import describe_faults
from service.http.schemas.bodies import Body


def describe(model: type[Body], fields: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(fields)
    return describe_faults(model, caught.value.errors())
