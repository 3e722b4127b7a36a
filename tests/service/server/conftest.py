"""Fixtures of the tests of processes."""

from collections.abc import Iterator

import pytest

from tests.signals import usual_signals


@pytest.fixture(autouse=True)
def _usual_signals() -> Iterator[None]:
    with usual_signals():
        yield
