"""Keeps the no-break spaces of a sentence where its translation has the words beside them."""

import re

# A no-break space, and a narrow one, as French and Swiss typography has them.
FIXED_SPACE = re.compile(r"(?<=\S)[\u00a0\u202f](?=\S)")
WORD_BEFORE = re.compile(r"[^\s\u201c\u201e\"'(\[]+$")
WORD_AFTER = re.compile(r"^[\w$€£%§°]+(?:[.,]\d+)*")


def has_fixed_spaces(text: str) -> bool:
    """Whether there are any between two words."""
    return not text.isprintable() and FIXED_SPACE.search(text) is not None


def keep_fixed_spaces(source: str, translation: str) -> str:
    """The translation with the no-break spaces of its source, one character for one.

    One returns between the two words that it was between, if they stand side by side; else before
    the second or behind the first, if there is only one such word.
    """
    for match in FIXED_SPACE.finditer(source):
        place = find_space(source[: match.start()], source[match.end() :], translation)
        if place is not None:
            translation = translation[:place] + match[0] + translation[place + 1 :]
    return translation


def find_space(before: str, after: str, translation: str) -> int | None:
    """The offset of the space of a translation that stands for one between two texts."""
    first, second = WORD_BEFORE.search(before), WORD_AFTER.search(after)
    left = rf"(?<!\w){re.escape(first[0])}" if first else ""
    right = rf"{re.escape(second[0])}(?!\w)" if second else ""
    patterns = [f"{left}( ){right}" if left and right else "", right and rf"(?<=\S)( ){right}"]
    patterns.append(left and rf"{left}( )(?=\S)")
    for index, pattern in enumerate(patterns):
        found = list(re.finditer(pattern, translation)) if pattern else []
        if found and (index == 0 or len(found) == 1):
            return found[0].start(1)
    return None
