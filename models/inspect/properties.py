"""Properties of a text that a unit may follow: a number for each character, once it has been read.

None looks ahead, as no unit that reads forward can.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np

from service.arrays import FloatArray

QUOTES = {'"': None, "“": True, "„": True, "”": False, "«": True, "»": False}
"""Whether a mark opens a quotation, closes one, or does the other of what it did last (None)."""

OPENING, CLOSING = "([{", ")]}"
ENDS = ".!?…。"
BLANK_LINE = re.compile(r"\n[^\S\n]*\n[^\n]*")


def in_quotation(text: str) -> Iterator[float]:
    is_inside = False
    for character in text:
        if character in QUOTES:
            opens = QUOTES[character]
            is_inside = not is_inside if opens is None else opens
        yield is_inside


def in_brackets(text: str) -> Iterator[float]:
    depth = 0
    for character in text:
        depth = max(0, depth + (character in OPENING) - (character in CLOSING))
        yield depth > 0


def place_in_line(text: str) -> Iterator[float]:
    return count_since(text, lambda character: character == "\n")


def place_in_sentence(text: str) -> Iterator[float]:
    return count_since(text, lambda character: character in ENDS)


def place_in_word(text: str) -> Iterator[float]:
    return count_since(text, lambda character: not character.isalnum())


def place_in_text(text: str) -> Iterator[float]:
    return map(float, range(1, len(text) + 1))


def count_since(text: str, resets: Callable[[str], bool]) -> Iterator[float]:
    """Characters since the last one that resets the count."""
    count = 0
    for character in text:
        count = 0 if resets(character) else count + 1
        yield count


def after_line_break(text: str) -> Iterator[float]:
    """Whether nothing but white space follows the last line break."""
    is_blank = False
    for character in text:
        is_blank = character == "\n" or (is_blank and character.isspace())
        yield is_blank


def first_line(text: str) -> Iterator[float]:
    """Whether the line is the first one after a blank line."""
    found = np.zeros(len(text))
    for match in BLANK_LINE.finditer(text):
        found[match.start() + 1 : match.end()] = 1.0
    yield from found.tolist()


def in_capitals(text: str) -> Iterator[float]:
    """Whether the word so far has two letters or more, all of them capitals."""
    word = ""
    for character in text:
        word = word + character if character.isalpha() else ""
        yield len(word) > 1 and word.isupper()


def capital(text: str) -> Iterator[float]:
    return (character.isupper() for character in text)


def white_space(text: str) -> Iterator[float]:
    return (character.isspace() for character in text)


def digit(text: str) -> Iterator[float]:
    return (character.isdigit() for character in text)


PROPERTIES: Mapping[str, Callable[[str], Iterator[float]]] = MappingProxyType(
    {
        "inside quotation marks": in_quotation,
        "inside brackets": in_brackets,
        "position in the line": place_in_line,
        "position in the sentence": place_in_sentence,
        "position in the word": place_in_word,
        "position in the text": place_in_text,
        "after a line break": after_line_break,
        "in the first line after a blank one": first_line,
        "in a word of capitals": in_capitals,
        "a capital": capital,
        "white space": white_space,
        "a digit": digit,
    }
)


def measure_properties(text: str) -> FloatArray:
    """All properties (P) of a text at each of its N characters: (N, P) float32."""
    columns = [np.fromiter(follow(text), np.float32, len(text)) for follow in PROPERTIES.values()]
    return np.stack(columns, axis=1)
