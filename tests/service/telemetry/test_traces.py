import math

import pytest

from service.answers import Timings
from service.telemetry.traces import list_stages, read_parent


def test_stages_of_several_parts_span_them_all() -> None:
    timings = Timings(1.0, 2.0, 1.5, 6.0, arrived_at=10.0, dispatched_at=11.5, finished_at=15.0)
    assert list(list_stages(timings)) == [
        ("tokenize", 10.0, 11.0),
        ("queue", 11.0, 13.0),
        ("inference", 11.5, 15.0),
    ]


def test_text_that_no_model_was_needed_for_was_only_tokenized() -> None:
    timings = Timings(1.0, 0.0, 0.0, 1.0, arrived_at=10.0)
    assert math.isinf(timings.finished_at)
    assert [name for name, _, _ in list_stages(timings)] == ["tokenize"]


@pytest.mark.parametrize(
    "headers",
    [[], [(b"traceparent", b"")], [(b"traceparent", b"x" * 10_000)], [(b"tracestate", b"a=b")]],
)
def test_a_header_that_is_not_a_traceparent_names_no_parent(
    headers: list[tuple[bytes, bytes]],
) -> None:
    assert not read_parent(headers)
