"""Terms whose translation is given: those of a glossary, and those that are kept as they are."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import regex


class Term(NamedTuple):
    """A stretch of a text, `text[start:end]`, and what stands for it in the translation."""

    start: int
    end: int
    translation: str


def find_terms(text: str, terms: Mapping[str, str]) -> list[Term]:
    """The terms in a text, in its order; of those that overlap the first, then the longest.

    A term stands as a word of its own; a Korean particle may follow it. One without capitals is
    found with capitals, too.

    Args:
        text: any string.
        terms: translations by term.
    """
    if not terms:
        return []
    lowered = {term: translation for term, translation in terms.items() if term == term.lower()}
    return [
        Term(*match.span(), terms.get(match[0]) or lowered[match[0].lower()])
        for match in compile_terms(tuple(terms)).finditer(text)
    ]


@lru_cache(maxsize=64)
def compile_terms(terms: tuple[str, ...]) -> "regex.Pattern[str]":
    patterns = [
        f"{'(?i:' if term == term.lower() else '(?:'}{regex.escape(term, special_only=True)})"
        for term in sorted(terms, key=len, reverse=True)
    ]
    return regex.compile(
        rf"(?<![\p{{L}}\p{{N}}_])(?:{'|'.join(patterns)})(?![\p{{L}}\p{{N}}_--\p{{Hangul}}])",
        regex.VERSION1,
    )
