"""Days of the week in short, as opening hours have them: "Mon–Fri", "Mo-Fr", "월~금".

Models hardly know them. Several days are masked; a single one beside a date or a word like "on" is
read in full. Pure functions.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import regex

from service.text.abbreviations import PARTICLE, Reading
from service.text.masking.stretches import is_free
from service.text.masking.terms import Term

DAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "de": ("Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"),
    "ko": ("월", "화", "수", "목", "금", "토", "일"),
}
LONGER: Final = {"Tues": "Tue", "Thurs": "Thu", "Thur": "Thu"}
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
    "ko": tuple(f" {day}요일" for day in DAYS["ko"]),
}
JOINTS: Final[Mapping[str, str]] = {"en": "and|&", "de": "und|u\\.|&", "ko": "·|및|&"}
BEFORE: Final = r"(?<![\p{L}\p{N}.@#_-])"
AFTER: Final = r"(?![\p{L}\p{N}@_])"
KOREAN_DATE: Final = regex.compile(r"(?<=\d\s?일)\s?\((?<day>[월화수목금토일])(?:요일)?\)")
SINGLE: Final[Mapping[str, regex.Pattern[str]]] = {
    "en": regex.compile(
        rf"{BEFORE}(?<day>{'|'.join([*LONGER, *DAYS['en']])})\.?"
        r"(?=,?\s(?:\d|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec))"
        rf"|(?<=\b(?:on|this|next|last|every|until|by)\s)"
        rf"(?<day>{'|'.join([*LONGER, *DAYS['en']])})(?:\.(?=\s\p{{Ll}}))?{AFTER}"
    ),
    "de": regex.compile(
        rf"(?<=\b(?:[Aa]m|bis|ab|jeden|diesen|nächsten|letzten)\s)(?<day>{'|'.join(DAYS['de'])})"
        rf"(?:\.(?=\s\p{{L}}))?{AFTER}"
    ),
    "ko": KOREAN_DATE,
}
# A day of opening hours that have others, too.
CLOSED: Final = {"en": "closed", "de": "geschlossen|zu", "ko": "휴무|휴일"}


def compile_days(language: str) -> "regex.Pattern[str]":
    """What matches two or more days, with a dash, a comma or a word between them."""
    days = [*(LONGER if language == "en" else ()), *DAYS[language]]
    day = rf"(?:{'|'.join(days)})" + (r"(?:요일)?" if language == "ko" else r"\.?")
    joint = rf"(?:\s?[-–~\uff5e/]\s?|,\s?|\s(?:{JOINTS[language]})\s" + (
        r"|·)" if language == "ko" else ")"
    )
    last = day.removesuffix(r"\.?") + ("" if language == "ko" else r"(?:\.(?!\s*$))?")
    end = PARTICLE if language == "ko" else AFTER
    return regex.compile(rf"{BEFORE}{day}(?:{joint}{day}){{0,5}}{joint}{last}{end}")


SEVERAL: Final = {language: compile_days(language) for language in DAYS}
HOURS: Final = {
    language: regex.compile(
        rf"{BEFORE}(?:{'|'.join(DAYS[language])})(?=\.?:?\s(?:\d|{CLOSED[language]}))"
    )
    for language in DAYS
}
PART: Final = {
    language: regex.compile("|".join([*(LONGER if language == "en" else ()), *days]))
    for language, days in DAYS.items()
}


def find_weekdays(text: str, source: str, target: str) -> Iterator[Term]:
    """Several days in short, as the target language has them in short."""
    if source not in DAYS or target not in DAYS or source == target:
        return
    found = find_terms(SEVERAL[source], text, source, target)
    single = find_terms(HOURS[source], text, source, target)
    if found or len(single) > 1:
        found += [each for each in single if is_free(each, found)]
    yield from sorted(found)


def find_terms(pattern: "regex.Pattern[str]", text: str, source: str, target: str) -> list[Term]:
    return [Term(*match.span(), say(match[0], source, target)) for match in pattern.finditer(text)]


def say(days: str, source: str, target: str) -> str:
    """Days in short in another language, with what is between them."""

    def translate(match: "regex.Match[str]") -> str:
        day = LONGER.get(match[0], match[0])
        return DAYS[target][DAYS[source].index(day)]

    said = PART[source].sub(translate, days.replace("요일", "").replace(".", ""))
    said = regex.sub(r"\s?[~\uff5e]\s?", "–", said).replace("·", ", ")
    joint = {"en": " and ", "de": " und ", "ko": ", "}[target]
    return regex.sub(r"\s(?:and|und|및|u|&)\s", joint, said)


def find_single_weekdays(text: str, source: str) -> Iterator[Reading]:
    """A day in short beside a date or a word like "on", which is read in full."""
    pattern = SINGLE.get(source)
    for match in pattern.finditer(text) if pattern else ():
        day = LONGER.get(match["day"], match["day"])
        yield Reading(*match.span(), NAMES[source][DAYS[source].index(day)])
