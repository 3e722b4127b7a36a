"""What a text spells out and a translation must give: numbers, and half hours, in figures."""

from service.text.masking.spelled_numbers import (
    SpelledNumber,
    find_spelled_numbers,
    says_number,
)
from service.text.masking.times.half_hours import find_half_hours, says_half_hour


def find_spelled(text: str, language: str) -> list[SpelledNumber]:
    """The half hours and the numbers that a text spells out."""
    return [*find_half_hours(text, language), *find_spelled_numbers(text, language)]


def says_figures(text: str, figures: str, language: str) -> bool:
    """Whether a text states what was spelled out, by these figures or in words."""
    says = says_half_hour if ":" in figures else says_number
    return says(text, figures, language)
