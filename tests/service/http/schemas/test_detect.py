from typing import Any

import pytest

from service.http.schemas.detect import DetectRequest
from tests.service.http.schemas.faults import describe


@pytest.mark.parametrize("fields", [{}, {"q": ""}, {"q": ["x"]}, {"q": 1}])
def test_detection_takes_one_text(fields: dict[str, Any]) -> None:
    assert describe(DetectRequest, fields).startswith("`q` ")
