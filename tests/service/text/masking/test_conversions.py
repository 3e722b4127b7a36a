import pytest

from service.text.masking.conversions import find_conversions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("At 3 pm we had 5 million.", ["오후 3시", "500만"]),
        ("At three we had millions.", []),
    ],
)
def test_times_and_large_numbers_are_converted(text: str, expected: list[str]) -> None:
    assert [found[2] for found in find_conversions(text, "en", "ko")] == expected
