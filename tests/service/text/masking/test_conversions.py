import pytest

from service.text.masking.conversions import find_conversions, find_readings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("At 3 pm we had 5 million.", ["오후 3시", "500만"]),
        ("At three we had millions.", []),
    ],
)
def test_times_and_large_numbers_are_converted(text: str, expected: list[str]) -> None:
    assert [found[2] for found in find_conversions(text, "en", "ko")] == expected


def test_abbreviations_and_days_are_read_in_full() -> None:
    text = "Pls come on Fri, Dec 4"

    found = {text[start:end]: full for start, end, full in find_readings(text, "en")}

    assert found == {"Pls": "Please", "Dec": "December", "Fri": "Friday"}
