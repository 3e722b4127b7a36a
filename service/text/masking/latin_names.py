"""Names in Latin letters: "Peter Klein" is 피터 클라인 in Korean, and Peter Klein in German.

A small model can write a name in Hangul if it has often read it, and makes up the others. Between
English and German, it translates names that are also words. So the names in a table are masked:
full names and names after a title and, on the way into Korean, any other name that cannot be a
common word and is too rare for a model to know. Pure functions.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

import regex

from service.text.masking.terms import Term

TABLE: Final = "latin_names.tsv"
NAME: Final = r"\p{Lu}\p{Ll}+(?:-\p{Lu}\p{Ll}+)?"
RUN: Final = regex.compile(
    rf"(?<![\p{{L}}\p{{N}}_@#./-]){NAME}(?:\s{NAME})*(?![\p{{L}}\p{{N}}_@-])"
)
WORD: Final = regex.compile(NAME)
TITLE: Final = regex.compile(
    r"\b(?:(?:Mr|Mrs|Ms|Miss|Mister|Dr|Prof|Professor|Herrn?|Frau)\.?"
    r"|name(?: is|d|ns)?|name's|called|heiß(?:e|t|en)|Namen)\s",
    regex.IGNORECASE,
)
APOSTROPHES: Final = ("'", "’")
LONGEST_TITLE: Final = len("Professor. ")


class LatinName(NamedTuple):
    """A name of the table.

    Attributes:
        is_given, is_family: what it is.
        is_alone: whether it is masked into Korean without a second name or a title, too.
        hangul: by the language of the text.
    """

    is_given: bool
    is_family: bool
    is_alone: bool
    hangul: Mapping[str, str]


@cache
def read_names() -> dict[str, LatinName]:
    """The table of names."""
    text = resources.files("service.text.korean").joinpath(TABLE).read_text(encoding="utf-8")
    names: dict[str, LatinName] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, kind, alone, english, *german = line.split("\t")
        names[name] = LatinName(
            kind in ("given", "both"),
            kind in ("family", "both"),
            bool(alone),
            {"en": english, "de": german[0] if german else english},
        )
    return names


def find_latin_names(text: str, source: str, target: str) -> Iterator[Term]:
    """The names of a text in English or German, in Hangul or as other languages have them."""
    if source not in ("en", "de"):
        return
    names = read_names()
    for run in RUN.finditer(text):
        words = list(WORD.finditer(text, *run.span()))
        place = 0
        while place < len(words):
            taken = take_name(text, words[place : place + 2])
            if not taken and target == "ko" and is_sure(words[place][0], source):
                taken = [words[place]]
            # into German, models lose what is behind the apostrophe of a mask: Tom Miller's car
            if taken and (target == "ko" or text[taken[-1].end() :][:1] not in APOSTROPHES):
                start, end = taken[0].start(), taken[-1].end()
                said = [names[word[0]].hangul[source] for word in taken]
                yield Term(start, end, " ".join(said) if target == "ko" else text[start:end])
            place += len(taken) or 1


def take_name(text: str, words: list[regex.Match[str]]) -> list[regex.Match[str]]:
    """The words at the start of a run that are a full name, or one that follows a title."""
    names = read_names()
    entries = [names.get(word[0]) for word in words]
    first, second = (*entries, None)[:2]
    if first is None:
        return []
    if second and first.is_given and second.is_family:
        return words
    return words[:1] if ends_in_title(text, words[0].start()) else []


def is_sure(word: str, language: str) -> bool:
    """Whether a word alone can hardly be anything but a name that models do not know."""
    names = read_names()
    if word not in names or not names[word].is_alone:
        return False
    is_genitive = language == "de" and word.endswith("s") and word[:-1] in names  # Peters Haus
    return not is_genitive or names[word].is_given


def ends_in_title(text: str, end: int) -> bool:
    """Whether what stands before an offset is a title."""
    start = max(0, end - LONGEST_TITLE)
    return any(match.end() == end for match in TITLE.finditer(text, start, end))
