import pytest

from service.http.deadlines import MAX_DIGITS, read_milliseconds


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
