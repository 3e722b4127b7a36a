"""Abbreviations and chat words in full, as a translator reads them.

Models have hardly read any: "ca. 20 Min." stayed as it was, "evtl. später" became "later", and
"암튼" "cancer". Pure functions.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

import regex

TABLE: Final = "abbreviations.toml"
WORDS: Final = ("words", "initials", "nouns")
PARTS: Final = ("glued", "nouns")
KINDS: Final = ("before_number", "behind_number", "dotted", "last", "glued", *WORDS)
START: Final = r"(?<![\p{L}\p{N}@#/._&'’-])"
WORD_END: Final = r"(?![\p{L}\p{N}@#/_&'’-]|\.\p{L})"
PARTICLE: Final = r"(?=(?:에|엔|에는|은|는|이|가|도|만|의|부터|까지|로)?(?!\p{L}))"
WORD: Final = regex.compile(r"\p{L}+")
NAME_LETTERS: Final = 2  # of initials that may be a name
CLOSING_WORDS: Final = 2  # of the end of a letter: "LG Anna"
SENTENCE_END: Final = regex.compile(r"[\s\"'”’“»«」』)\]]*$")


class Reading(NamedTuple):
    """A stretch of a text, `text[start:end]`, and what is read in its place."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Abbreviations:
    """The abbreviations of a language.

    Attributes:
        pattern: finds each, by the group of its kind.
        full: what each stands for, by kind.
        hints: words of which a text has one if it has an abbreviation that is a word of its own.
        parts: those that are parts of words: ends, and nouns with a particle.
        unfinished: matches the end of a text with which no sentence ends.
    """

    pattern: regex.Pattern[str]
    full: Mapping[str, Mapping[str, str]]
    hints: frozenset[str]
    parts: tuple[str, ...]
    unfinished: regex.Pattern[str]

    def may_be_in(self, text: str) -> bool:
        """Whether a text could have an abbreviation; most have none, which is told fast."""
        is_hinted = not self.hints.isdisjoint(WORD.findall(text.lower()))
        return is_hinted or any(part in text for part in self.parts)


def find_abbreviations(text: str, language: str) -> Iterator[Reading]:
    """The abbreviations of a text; none in a language without a table."""
    table = read_tables().get(language)
    if table is None or not table.may_be_in(text):
        return
    for match in table.pattern.finditer(text):
        kind = match.lastgroup
        assert kind is not None
        if kind in WORDS and may_be_name(text, match, kind):
            continue
        full = table.full[kind][squeeze(match[0], kind)]
        if match[0][0].isupper() and match.start() == 0:
            full = full[0].upper() + full[1:]
        yield Reading(*match.span(), full + final_stop(text, match, may_be_last=kind == "last"))


def ends_unfinished(text: str, language: str) -> bool:
    """Whether a text ends in an abbreviation with which no sentence does."""
    table = read_tables().get(language)
    return table is not None and table.unfinished.search(text) is not None


def may_be_name(text: str, match: "regex.Match[str]", kind: str) -> bool:
    """Whether a word with capitals may be another one: "Ur", "LG TV"; "LG Anna" ends a letter."""
    word, is_first = match[0], match.start() == 0
    if not word.isupper() or len(word) == 1:
        return word.lower() != word and not is_first
    return kind != "initials" or (len(word) == NAME_LETTERS and not is_alone(text, match))


def is_alone(text: str, match: "regex.Match[str]") -> bool:
    """Whether a text is a word, or begins with it and has a single one behind it."""
    return match.start() == 0 and len(text.split()) <= CLOSING_WORDS


def final_stop(text: str, match: "regex.Match[str]", *, may_be_last: bool) -> str:
    """The full stop of an abbreviation that is its sentence's, too."""
    if not match[0].endswith("."):
        return ""
    rest = text[match.end() :]
    is_last = SENTENCE_END.match(rest) or (may_be_last and regex.match(r"\s+\p{Lu}", rest))
    return "." if is_last else ""


@cache
def read_tables() -> Mapping[str, Abbreviations]:
    """The abbreviations of each language."""
    text = resources.files("service.text").joinpath(TABLE).read_text(encoding="utf-8")
    return {language: compile_table(kinds) for language, kinds in tomllib.loads(text).items()}


def compile_table(kinds: Mapping[str, str]) -> Abbreviations:
    full = {kind: dict(read_list(kinds[kind])) for kind in KINDS}
    start = dict.fromkeys(KINDS, START)
    start |= {"behind_number": r"(?<=\d\s?)", "glued": r"(?<=\p{L}{3})"}
    end = dict.fromkeys(KINDS, WORD_END) | {"before_number": r"(?=\s?\d)", "nouns": PARTICLE}
    groups = (
        rf"(?P<{kind}>{start[kind]}{match_any(full[kind], kind)}{end[kind]})" for kind in KINDS
    )
    return Abbreviations(
        regex.compile("|".join(groups)),
        {kind: {squeeze(key, kind): full[kind][key] for key in full[kind]} for kind in KINDS},
        frozenset(find_hint(key) for kind in KINDS if kind not in PARTS for key in full[kind]),
        tuple(key for kind in PARTS for key in full[kind]),
        regex.compile(rf"{START}{match_any(full['dotted'], 'dotted')}\s*$"),
    )


def find_hint(key: str) -> str:
    """The longest word of an abbreviation, and of those as long the last."""
    words: list[str] = WORD.findall(key.lower())
    return max(reversed(words), key=len)


def squeeze(key: str, kind: str) -> str:
    """A chat word in small letters; others without spaces, which not everybody types."""
    return key.lower() if kind in WORDS else regex.sub(r"\s", "", key)


def match_any(keys: Iterable[str], kind: str) -> str:
    """A pattern for each of the keys, the longest first."""
    ordered = sorted(keys, key=len, reverse=True)
    patterns = [regex.escape(key, literal_spaces=True).replace(". ", r".\s?") for key in ordered]
    return f"(?{'i' if kind in WORDS else ''}:{'|'.join(patterns) or '(?!)'})"


def read_list(text: str) -> Iterator[tuple[str, str]]:
    """Pairs of "short = full", with bars and line breaks between."""
    for line in text.splitlines():
        for pair in filter(None, line.split(" | ")):
            short, full = pair.split(" = ")
            yield short.strip(), full.strip()
