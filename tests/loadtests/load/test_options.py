import pytest

from loadtests.load.options import parse_number, parse_seconds, parse_share, split_pairs


@pytest.mark.parametrize(
    ("text", "expected"), [("1500ms", 1.5), ("90s", 90.0), ("5m", 300.0), ("0.5h", 1800.0)]
)
def test_time_has_a_unit(text: str, expected: float) -> None:
    assert parse_seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["1500", "fast", "-1s", "1 s s", "", "1e3s", "nans"])
def test_time_without_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time; write a number and ms, s, m or h"):
        parse_seconds(text)


def test_share_is_a_percentage() -> None:
    assert parse_share("0.1%") == pytest.approx(0.001)


@pytest.mark.parametrize("text", ["0.1", "101%", "%", "-1%", "1%%", "x%"])
def test_share_without_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        parse_share(text)


def test_number_is_not_negative() -> None:
    assert parse_number("2.5") == 2.5
    with pytest.raises(ValueError, match="'-2' is not a number"):
        parse_number("-2")


def test_pairs_may_have_spaces() -> None:
    assert dict(split_pairs("a=1, b = x")) == {"a": "1", "b": "x"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("a", "'a' is not NAME=VALUE"), ("a=1,", "'' is not"), ("a=1,a=2", "'a' comes twice")],
)
def test_pairs_without_sense_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(split_pairs(text))
