"""Terms whose translation is given: those of a glossary, and those that are kept as they are."""

from collections.abc import Mapping
from typing import NamedTuple

import regex

# Where a word may begin, and what a term must not be followed by: a Korean particle may follow it.
START = regex.compile(r"(?<![\p{L}\p{N}_])\S")
REST = regex.compile(r"[\p{L}\p{N}_--\p{Hangul}]", regex.VERSION1)


class Term(NamedTuple):
    """A stretch of a text, `text[start:end]`, and what stands for it in the translation."""

    start: int
    end: int
    translation: str


class Terms:
    """Terms with their translations; many are found as fast as few.

    They are indexed by first letter: a regular expression of a thousand took 0.7 s to compile.

    Args:
        translations: by term.
    """

    def __init__(self, translations: Mapping[str, str]) -> None:
        self.translations = translations
        self._lowered = {
            term: translation for term, translation in translations.items() if term == term.lower()
        }
        lengths: dict[str, set[int]] = {}
        for term in translations:
            lengths.setdefault(term[:1].lower(), set()).add(len(term))
        self._lengths = {
            first: sorted(found, reverse=True) for first, found in lengths.items() if first
        }

    def find(self, text: str) -> list[Term]:
        """The terms in a text, in its order; of those that overlap the first, then the longest.

        A term stands as a word of its own; a Korean particle may follow it. One without capitals
        is found with capitals, too.
        """
        found: list[Term] = []
        if not self._lengths:
            return found
        end = 0
        for match in START.finditer(text):
            start = match.start()
            if start < end:
                continue
            for length in self._lengths.get(match[0].lower(), ()):
                translation = self._translate(text[start : start + length])
                if translation is not None and not REST.match(text, start + length):
                    end = start + length
                    found.append(Term(start, end, translation))
                    break
        return found

    def _translate(self, word: str) -> str | None:
        exact = self.translations.get(word)
        return self._lowered.get(word.lower()) if exact is None else exact


NO_TERMS = Terms({})
