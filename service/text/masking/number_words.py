"""The words for small figures, to tell whether a translation says one that it does not show."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

import regex

# From 0 on, each as the alternatives of a pattern: cardinals, ordinals, and what else says them.
ENGLISH: Final = (
    *("zero|no|none|nil|o", "one|ones?elf|an?|first|once|single", "two|second|twice|both|half"),
    *("three|third|thrice|quarter", "four(?:th)?|quarters?", "five|fifth", "six(?:th)?"),
    *("seven(?:th)?", "eighth?", "nine|ninth", "ten(?:th)?", "eleven(?:th)?"),
    *("twelve|twelfth|noon|midday|midnight", "thirteen(?:th)?", "fourteen(?:th)?"),
    *("fifteen(?:th)?|quarter", "sixteen(?:th)?", "seventeen(?:th)?", "eighteen(?:th)?"),
    *("nineteen(?:th)?", "twenty|twentieth"),
)
GERMAN: Final = (
    *("null|kein\\w*|nullte\\w*", "ein\\w*|erste\\w*", "zwei\\w*|zwo|beide\\w*|halb\\w*"),
    *("drei\\w*|dritte\\w*", "vier\\w*", "fünf\\w*", "sechs\\w*", "sieb\\w*", "acht\\w*"),
    *("neun\\w*", "zehn\\w*", "elf\\w*", "zwölf\\w*|mittags?|mitternachts?", "dreizehn\\w*"),
    *("vierzehn\\w*", "fünfzehn\\w*|viertel\\w*", "sechzehn\\w*", "siebzehn\\w*", "achtzehn\\w*"),
    *("neunzehn\\w*", "zwanzig\\w*"),
)
KOREAN: Final = (
    *("영|공|제로|없", "일|하나|한|첫|하루", "이|둘|두|이틀|반", "삼|셋|세|석|서|사흘"),
    *("사|넷|네|넉|너|나흘", "오|다섯|닷새", "육|유|여섯", "칠|일곱", "팔|여덟", "구|아홉"),
    *("십|시|열", "십일|열하나|열한", "십이|열둘|열두|정오|자정", "십삼|열셋|열세"),
    *("십사|열넷|열네", "십오|열다섯", "십육|열여섯", "십칠|열일곱", "십팔|열여덟"),
    *("십구|열아홉", "이십|스물|스무"),
)
MONTHS: Final = (
    *(
        "jan\\w*",
        "feb\\w*",
        "mar\\w*|mär\\w*",
        "apr\\w*",
        "may|mai",
        "jun\\w*",
        "jul\\w*",
        "aug\\w*",
    ),
    *("sep\\w*", "o[ck]t\\w*", "nov\\w*", "de[cz]\\w*"),
)


def compile_words(words: Sequence[str]) -> list[regex.Pattern[str]]:
    """Patterns of figures that may be months, too."""
    months = ("", *(f"|{month}" for month in MONTHS))
    return [
        regex.compile(rf"\b(?:{word}{month})\b", regex.IGNORECASE)
        for word, month in zip_longest(words, months, fillvalue="")
    ]


PATTERNS: Final = {
    "en": compile_words(ENGLISH),
    "de": compile_words(GERMAN),
    # a counter or a particle may follow
    "ko": [regex.compile(rf"(?<!\p{{Hangul}})(?:{words})") for words in KOREAN],
}


def says_figure(text: str, figure: str, language: str) -> bool:
    """Whether a text has a word for a figure of digits.

    True if it cannot be told: for larger figures, and in languages that have no words here.
    """
    patterns = PATTERNS.get(language, [])
    if len(figure) > len(str(len(patterns))) or int(figure) >= len(patterns):
        return True
    return patterns[int(figure)].search(text) is not None
