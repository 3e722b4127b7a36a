"""Mends where sentencex ends sentences: after titles, around citations, and behind brackets.

Pure functions over segments of a line; together the segments stay the line.
"""

import re
from collections.abc import Sequence

from service.text.abbreviations import ends_unfinished

# Abbreviations with which no sentence ends: most of them are titles, and names follow.
NEVER_LAST = frozenset(
    (
        *(
            "adm",
            "brig",
            "capt",
            "cf",
            "cmdr",
            "col",
            "cpl",
            "dr",
            "fr",
            "frl",
            "gen",
            "gov",
            "hon",
        ),
        *("hr", "lt", "maj", "messrs", "mr", "mrs", "ms", "pres", "prof", "rep", "rev", "sen"),
        *("sgt", "vgl", "vs"),
    )
)
# Those that a number follows.
COUNTED = frozenset(
    (
        *("abb", "approx", "bd", "ca", "eq", "eqs", "fax", "fig"),
        *("figs", "kap", "nr", "pp", "tel", "vol"),
    )
)

# What stands before a German ordinal, which is a number with a full stop: "im 2. Stock".
ORDINAL = re.compile(
    r"(?:^|[^\w.])(?:im|am|vom|zum|zur|beim|ins|ans|de[rmns]|die|das|jede[rmns]?|diese[rmns]?"
    r"|(?:mein|dein|sein|ihr|unser|eur)(?:e[rmns]?)?|ein(?:e[rmn])?|bis|seit|ab)\s\d{1,3}\.$",
    re.IGNORECASE,
)
# Not what it counts, but a new sentence.
STARTER = re.compile(
    r"\s*(?:ich|du|er|sie|es|wir|ihr|man|der|die|das|den|dem|ein\w*|mein\w*|dein\w*|sein\w*|unser\w*"
    r"|und|aber|oder|denn|dann|danach|da|dort|hier|also|auch|bitte|ja|nein|am|im|um|in|an|auf|bis|ab"
    r"|was|wer|wie|wo|wann|warum|bist|ist|sind|war|hast|hat|haben|kann|kannst|können|passt|wenn|weil)\b",
    re.IGNORECASE,
)
LAST_WORD = re.compile(r"(?:^|[^\w.])(?P<word>[^\W\d_]+)\.$")
# Brackets around something other than a whole sentence: "[2004]", "(see there)".
CITATION = re.compile(r"(?:\[[^\[\]]*[^\[\].!?]\]|\([^()]*[^().!?]\))$")
# What no sentence begins with, and what is not a sentence.
CLOSING = re.compile(r"[,)\]}\u00bb\u201d]|[.;:!?\u2019\"']+\s*$")
FOOTNOTE = re.compile(r"(?:[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+(?:\s+|$))+")
# One or more whole sentences in brackets, before another one.
ASIDE = re.compile(
    r"(?:\((?P<round>[^()]*[.!?\u2026\u3002])\)|\[(?P<square>[^\[\]]*[.!?\u2026\u3002])\])\s+(?=\S)"
)
# No title, number or citation is longer than what is looked at.
TAIL_CHARS = 100


def mend_segments(segments: Sequence[str], language: str) -> list[str]:
    """Returns the segments of a line as sentences, with the white space that follows each."""
    mended: list[str] = []
    for segment in segments:
        rest = segment
        if mended and (note := FOOTNOTE.match(segment)):
            mended[-1] += note[0]
            rest = segment[note.end() :]
        if mended and rest and is_continued(mended[-1][-TAIL_CHARS:], rest, language):
            mended[-1] += rest
        elif rest:
            mended.append(rest)
    return [part for segment in mended for part in cut_asides(segment)]


def is_continued(before: str, after: str, language: str) -> bool:
    """Tells whether a sentence goes on behind a segment."""
    before, first = before.rstrip(), after.lstrip()[:1]
    word = LAST_WORD.search(before)
    abbreviation = word["word"].lower() if word else ""
    return (
        abbreviation in NEVER_LAST
        or ends_unfinished(before, language)
        or (abbreviation in COUNTED and first.isdigit())
        or (language == "de" and first.isalpha() and is_ordinal(before, after))
        or (first.islower() and CITATION.search(before) is not None)
        or CLOSING.match(after) is not None
    )


def is_ordinal(before: str, after: str) -> bool:
    """Tells whether a number at an end is a German ordinal, and the noun that it counts follows."""
    return ORDINAL.search(before) is not None and STARTER.match(after) is None


def cut_asides(segment: str) -> list[str]:
    """Cuts a segment behind the brackets that it begins with, if they hold whole sentences."""
    parts, start = [], 0
    while (aside := ASIDE.match(segment, start)) and is_aside(aside, segment[aside.end()]):
        parts.append(aside[0])
        start = aside.end()
    return [*parts, segment[start:]]


def is_aside(aside: re.Match[str], following: str) -> bool:
    """Tells whether brackets hold whole sentences: "(Yes.) Good.", but "(Mr.) Smith"."""
    text = aside["round"] or aside["square"]
    letters = [char for char in text if char.isalpha()]
    word = LAST_WORD.search(text[-TAIL_CHARS:])
    is_sentence = text[-1] != "." or (word is not None and is_plain_word(word["word"]))
    return bool(letters) and not (letters[0].islower() or following.islower()) and is_sentence


def is_plain_word(word: str) -> bool:
    return len(word) > 1 and word.lower() not in NEVER_LAST
