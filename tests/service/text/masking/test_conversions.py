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


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("lunch & then", "en", ["and"]),
        ("Salt & pepper", "en", ["and"]),
        ("Brot & Butter", "de", []),
        ("heute & morgen", "de", ["und"]),
        ("Johnson & Johnson, R&D, 5 & 6", "en", []),
        ("책 & 펜", "ko", []),
    ],
)
def test_ampersand_between_words_is_read_as_one(
    text: str, language: str, expected: list[str]
) -> None:
    assert [found.text for found in find_readings(text, language)] == expected
