"""English endings behind figures: a model that copies the figures writes "21th" and "1 hours"."""

import regex

ORDINAL = regex.compile(r"(?<![\p{L}\d.,-])(\d{1,9})(st|nd|rd|th)\b")
SINGLE = regex.compile(
    r"(?<![\p{L}\d.,:/-]|\d\s)1 (?P<unit>second|minute|hour|day|night|week|month|year|dollar|euro"
    r"|kilometer|meter|mile|kilo|piece|cup|glass|bottle|ticket|page|point)(?:es|s)\b"
)
ENDINGS = {1: "st", 2: "nd", 3: "rd"}


def mend_ordinals(text: str, source: str) -> str:
    """A text with the ending that fits each number, unless its source has the same one.

    The length stays the same.
    """

    def mend(match: regex.Match[str]) -> str:
        if match[0] in source:
            return match[0]
        number = int(match[1])
        is_teen = number // 10 % 10 == 1
        return match[1] + ("th" if is_teen else ENDINGS.get(number % 10, "th"))

    return ORDINAL.sub(mend, text)


def mend_singulars(text: str) -> str:
    """A text in which 1 counts one: "1 hours" is "1 hour"."""
    return SINGLE.sub(r"1 \g<unit>", text)
