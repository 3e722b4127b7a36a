"""English dates with the day first, which models have hardly read: "12 March"."""

import regex

from service.text.masking.masks import MASKS

MONTHS = (
    "January|February|March|April|May|June|July|August|September|October|November|December"
    "|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec"
)
# A day in figures, or a mask in their place.
DAY_FIRST = regex.compile(
    rf"(?<![^\s(\"'“‘])(?<day>[12]?\d|3[01]|[{MASKS['number']}]) (?<month>{MONTHS})(?![\p{{L}}\d-])"
)


def put_months_first(text: str) -> str:
    """A text whose dates begin with the month: "March 12". The length stays the same."""
    return DAY_FIRST.sub(r"\g<month> \g<day>", text)
