"""What another language says in its own way: names, times of day and large numbers."""

from collections.abc import Iterator

import regex

from service.text.masking.clock_times import find_clock_times
from service.text.masking.korean_names import find_korean_names
from service.text.masking.large_numbers import find_large_numbers
from service.text.masking.latin_names import find_latin_names
from service.text.masking.masker import Given

DIGIT = regex.compile(r"\d")


def find_conversions(text: str, source: str, target: str) -> Iterator[Given]:
    """Stretches of a text, with what stands for them in a translation."""
    yield from find_korean_names(text, source, target)
    yield from find_latin_names(text, source, target)
    if not DIGIT.search(text):  # most texts
        return
    yield from find_clock_times(text, source, target)
    yield from find_large_numbers(text, source, target)
