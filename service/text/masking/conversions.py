"""What another language says in its own way: times of day, and large numbers."""

from collections.abc import Iterator

import regex

from service.text.masking.clock_times import ClockTime, find_clock_times
from service.text.masking.large_numbers import find_large_numbers
from service.text.masking.spelled_numbers import SpelledNumber

DIGIT = regex.compile(r"\d")


def find_conversions(text: str, source: str, target: str) -> Iterator[ClockTime | SpelledNumber]:
    """Stretches of a text, with what stands for them in a translation."""
    if not DIGIT.search(text):  # most texts end here
        return
    yield from find_clock_times(text, source, target)
    yield from find_large_numbers(text, source, target)
