"""Set phrases: what apps, shops and signs say, how letters begin and end, turns of talk, sayings.

Word by word they mean something else, and a small model translates them so: "Sign in" became
"Unterschreiben". What is nothing but such a phrase has its translation in a table. Pure functions.
"""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

from service.text.casing import is_in_capitals
from service.text.sentences.final_marks import match_final_marks, without_final_marks

TABLE: Final = "set_phrases.toml"
LANGUAGES: Final = ("en", "ko", "de")
FIELDS, WAYS = " | ", " / "


class Phrase(NamedTuple):
    """A phrase as it stands in the table, and the ways of saying it in another language."""

    text: str
    translations: Sequence[str]


def find_phrase(text: str, source: str, target: str) -> list[str]:
    """The translations of a text that is nothing but a set phrase, the best first; or none.

    Capitals do not matter, except that a single word begins with one: "Print", but "print" may be
    any word. Nor do final marks, which are those of the text; a comma does: "Good luck," ends a
    letter.
    """
    phrase = read_phrases(source, target).get(without_final_marks(text).casefold())
    if phrase is None or (text[:1].islower() and " " not in text):
        return []
    if text.casefold() == phrase.text.casefold():
        found = list(phrase.translations)
    elif text.endswith(",") or phrase.text.endswith(","):
        found = [each for each in phrase.translations if text[-1] == each[-1] == ","]
    else:
        found = [match_final_marks(text, each) for each in phrase.translations]
    return [each.upper() for each in found] if is_in_capitals(text) else found


@cache
def read_phrases(source: str, target: str) -> Mapping[str, Phrase]:
    """The phrases of a language, in small letters and without final marks.

    Where two say the same, one counts of which that is the usual way before others.
    """
    if source == target or not {source, target} <= set(LANGUAGES):
        return {}
    phrases: dict[str, Phrase] = {}
    for is_first in (True, False):
        for row in read_table():
            ways = row[source][:1] if is_first else row[source][1:]
            for way in ways:
                key = without_final_marks(way).casefold()
                phrases.setdefault(key, Phrase(way, order(row[target])))
    return phrases


@cache
def read_table() -> Sequence[Mapping[str, Sequence[str]]]:
    """The ways of saying each phrase, by language."""
    text = resources.files("service.text").joinpath(TABLE).read_text(encoding="utf-8")
    rows: list[dict[str, list[str]]] = []
    for lines in tomllib.loads(text).values():
        for line in lines:
            fields = [field.split(WAYS) for field in line.split(FIELDS)]
            rows.append(dict(zip(LANGUAGES, fields, strict=True)))
    return rows


def order(ways: Sequence[str]) -> list[str]:
    """The ways of saying a phrase, the first one with as few capitals as it is given with."""
    alike = [way for way in ways if way.casefold() == ways[0].casefold()]
    best = min(alike, key=lambda way: sum(letter.isupper() for letter in way))
    return [best, *(way for way in ways if way not in alike)]
