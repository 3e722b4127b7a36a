"""Names in Latin letters in texts that go into Korean: "Peter Klein" is 피터 클라인.

A small model spells names in Hangul that it has read often, and makes up others. So those of a
table are masked. Of names that are words, too, and of those that models know, only full names are,
and what follows a title. Pure functions.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
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
LONGEST_TITLE: Final = len("Professor. ")


class LatinName(NamedTuple):
    """A name of the table.

    Attributes:
        is_given, is_family: what it is.
        is_alone: whether it is masked without another name before or behind it or a title, too.
        hangul: by the language of the text.
    """

    is_given: bool
    is_family: bool
    is_alone: bool
    hangul: Mapping[str, str]


@lru_cache(1)
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
    """The names of a text in English or German, in Hangul; none for other languages than Korean."""
    if target != "ko" or source not in ("en", "de"):
        return
    names = read_names()
    for run in RUN.finditer(text):
        words = list(WORD.finditer(text, *run.span()))
        place = 0
        while place < len(words):
            taken = take_name(text, words[place : place + 2], source)
            if taken:
                said = " ".join(names[word[0]].hangul[source] for word in taken)
                yield Term(taken[0].start(), taken[-1].end(), said)
            place += len(taken) or 1


def take_name(text: str, words: list[regex.Match[str]], language: str) -> list[regex.Match[str]]:
    """The words at the start of a run that are a name: two, one or none."""
    names = read_names()
    found = [names.get(word[0]) for word in words]
    first, second = found[0], found[1] if len(found) > 1 else None
    if first is None:
        return []
    if second and first.is_given and second.is_family:
        return words
    is_alone = first.is_alone and not (language == "de" and is_genitive(words[0][0]))
    return words[:1] if is_alone or ends_in_title(text, words[0].start()) else []


def is_genitive(name: str) -> bool:
    """Whether a family name of German is rather the genitive of another name: Peters Haus."""
    names = read_names()
    return name.endswith("s") and name[:-1] in names and not names[name].is_given


def ends_in_title(text: str, end: int) -> bool:
    """Whether what stands before an offset is a title."""
    start = max(0, end - LONGEST_TITLE)
    return any(match.end() == end for match in TITLE.finditer(text, start, end))
