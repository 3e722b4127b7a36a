import time

import pytest

from service.errors import InvalidInput
from service.http.requests.deadlines import MAX_DIGITS, choose_deadline, read_milliseconds
from service.settings import Settings


@pytest.mark.parametrize(("value", "milliseconds"), [(b"0", 0), (b"250", 250), (b"007", 7)])
def test_whole_numbers_are_read(value: bytes, milliseconds: int) -> None:
    assert read_milliseconds(value) == milliseconds


@pytest.mark.parametrize(
    "value", [b"", b" 5", b"-5", b"+5", b"1.5", b"1e3", b"0x10", b"soon", "٣".encode()]
)
def test_anything_else_is_not_a_number_of_milliseconds(value: bytes) -> None:
    assert read_milliseconds(value) is None


def test_numbers_of_too_many_digits_are_not_read() -> None:
    assert read_milliseconds(b"9" * MAX_DIGITS) == 10**MAX_DIGITS - 1
    assert read_milliseconds(b"9" * (MAX_DIGITS + 1)) is None


@pytest.mark.parametrize(
    ("timeout_ms", "header", "seconds"),
    [(None, None, 7.0), (2000, None, 2.0), (None, b"3000", 3.0), (2000, b"3000", 2.0)],
)
def test_the_shorter_limit_counts_from_the_arrival(
    timeout_ms: int | None, header: bytes | None, seconds: float
) -> None:
    settings = Settings(default_timeout_ms=7000)
    deadline = choose_deadline(settings, timeout_ms, header, age_seconds=0.5)
    assert deadline - time.monotonic() == pytest.approx(seconds - 0.5, abs=0.1)


@pytest.mark.parametrize(
    ("timeout_ms", "header"), [(9001, None), (None, b"0"), (None, b"soon"), (5, b"")]
)
def test_a_limit_that_cannot_be_kept_is_refused(
    timeout_ms: int | None, header: bytes | None
) -> None:
    settings = Settings(default_timeout_ms=7000, max_timeout_ms=9000)
    with pytest.raises(InvalidInput):
        choose_deadline(settings, timeout_ms, header, age_seconds=0.0)
