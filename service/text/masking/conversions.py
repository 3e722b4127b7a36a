"""What another language says in its own way: names, days, times of day and large numbers."""

from collections.abc import Iterator

import regex

from service.text.abbreviations import Reading, find_abbreviations
from service.text.masking.korean_names import find_korean_names
from service.text.masking.large_numbers import find_large_numbers
from service.text.masking.latin_names import find_latin_names
from service.text.masking.masker import Given
from service.text.masking.times.clock_times import find_clock_times
from service.text.masking.times.weekdays import find_single_weekdays, find_weekdays

DIGIT = regex.compile(r"\d")
# Not between names: "Johnson & Johnson".
AMPERSAND = regex.compile(r"(?<=(?<!\p{L})\p{Ll}+\s)&(?=\s\p{L})|(?<=\p{L}\s)&(?=\s\p{Ll})")
AND = {"en": "and", "de": "und"}


def find_conversions(text: str, source: str, target: str) -> Iterator[Given]:
    """Stretches of a text, with what stands for them in a translation."""
    yield from find_korean_names(text, source, target)
    yield from find_latin_names(text, source, target)
    yield from find_weekdays(text, source, target)
    if not DIGIT.search(text):  # most texts
        return
    yield from find_clock_times(text, source, target)
    yield from find_large_numbers(text, source, target)


def find_readings(text: str, source: str) -> Iterator[Reading]:
    """Stretches of a text that are read in full: abbreviations, chat words, days and "&"."""
    yield from find_abbreviations(text, source)
    yield from find_single_weekdays(text, source)
    if source in AND:
        for match in AMPERSAND.finditer(text):
            yield Reading(*match.span(), AND[source])
