"""Spelled-out half hours. German counts towards the next hour: "halb drei" is half past two.

A model that reads "drei" tends to write "three", and an appointment is an hour off. Pure functions.
"""

from collections.abc import Iterator
from typing import Final

import regex

from service.text.masking.spelled_numbers import (
    ONES_DE,
    ONES_EN,
    TEENS_DE,
    TEENS_EN,
    SpelledNumber,
    alternate,
    number_words,
)

HOURS_EN = {word: hour for word, hour in (ONES_EN | TEENS_EN).items() if hour <= 12}
HOURS_DE = {word: hour for word, hour in (ONES_DE | TEENS_DE).items() if hour <= 12}
HOURS_KO = number_words("한 두 세 네 다섯 여섯 일곱 여덟 아홉 열 열한 열두")
OTHERS = r"1[0-2]|[1-9]"


PATTERNS: Final = {
    "en": (regex.compile(rf"(?i)\bhalf past ({alternate(HOURS_EN)}|{OTHERS})\b"), HOURS_EN),
    "de": (regex.compile(rf"(?i)\bhalb ({alternate(HOURS_DE)}|{OTHERS})\b"), HOURS_DE),
    "ko": (
        regex.compile(
            rf"(?<![\p{{Hangul}}\d])({alternate(HOURS_KO)}|{OTHERS})\s?시\s?(?:반|30\s?분)"
        ),
        HOURS_KO,
    ),
}
THIRTY = {"en": " thirty", "de": " Uhr dreißig", "ko": " 시 삼십 분"}


def find_half_hours(text: str, language: str) -> Iterator[SpelledNumber]:
    """The half hours that a text spells out, with their figures: "2:30"."""
    if language not in PATTERNS:
        return
    pattern, hours = PATTERNS[language]
    for match in pattern.finditer(text):
        hour = hours.get(match[1].lower()) or int(match[1])
        if language == "de":
            hour = hour - 1 or 12
        yield SpelledNumber(*match.span(), f"{hour}:30")


def says_half_hour(text: str, figures: str, language: str) -> bool:
    """Whether a text states a half hour, in words or in figures (2:30 or 14:30).

    True for a language whose words are not known.
    """
    if language not in PATTERNS:
        return True
    hour = int(figures.partition(":")[0])
    words = (word for word, value in PATTERNS[language][1].items() if value == hour)
    spelled = "|".join(f"{word}{THIRTY[language]}" for word in words)
    hours = f"0?{hour}|0?{(hour + 12) % 24}"
    said = regex.search(rf"(?i)(?<!\d)(?:{hours})[:.]30|\b(?:{spelled})", text)
    return said is not None or any(
        found.figures == figures for found in find_half_hours(text, language)
    )
