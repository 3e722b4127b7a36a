"""Spelled-out numbers of several words or parts, which a small model easily gets wrong.

"Three hundred fifty" is one. What may mean something else ("seven thirty", "이십일") is left out: a
number that is overlooked costs nothing, but words that are not a number would turn into figures.
Pure functions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import regex

# Smaller ones are known well (`placeables.SMALL_NUMBER`), larger ones mix figures and words.
NUMBERS = range(21, 1_000_000)
FIGURES = regex.compile(
    r"(?<figures>\d{1,3}(?:[.,'\u00a0]\d{3})+(?!\d)|\d{1,18})(?:\s?(?<size>thousand|tausend|천|만))?",
    regex.IGNORECASE,
)
SIZES = {"": 1, "thousand": 1000, "tausend": 1000, "천": 1000, "만": 10_000}


class SpelledNumber(NamedTuple):
    """A stretch of a text, `text[start:end]`, that says what these figures say."""

    start: int
    end: int
    figures: str


def number_words(words: str, first: int = 1, step: int = 1) -> dict[str, int]:
    """The values of words; bars stand between spellings of one."""
    return {
        word: first + step * place
        for place, spellings in enumerate(words.split())
        for word in spellings.split("|")
    }


def alternate(words: Iterable[str]) -> str:
    """A pattern of any of the words, the longest that fits."""
    return "|".join(sorted(words, key=len, reverse=True))


def define(whole: str, **parts: str | Mapping[str, int]) -> regex.Pattern[str]:
    """A pattern of named parts, which may refer to each other: patterns or words."""
    patterns = {
        name: part if isinstance(part, str) else alternate(part) for name, part in parts.items()
    }
    definitions = "".join(f"(?<{name}>{pattern})" for name, pattern in patterns.items())
    return regex.compile(rf"(?(DEFINE){definitions}){whole}", regex.IGNORECASE)


ONES_EN = number_words("one two three four five six seven eight nine")
TEENS_EN = number_words(
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen", 10
)
TENS_EN = number_words("twenty thirty forty|fourty fifty sixty seventy eighty ninety", 20, 10)
WORDS_EN = ONES_EN | TEENS_EN | TENS_EN | {"a": 1}
WORD_EN = "|".join([*ONES_EN, *TEENS_EN, *TENS_EN, "hundred", "thousand", "million", "billion"])
ENGLISH = define(
    # beside another number it may be part of a time or a fraction
    rf"\b(?<!\b(?:{WORD_EN})[-\s])"
    r"(?<number>(?<century>(?!ten|eleven|twelve)(?&teen)|twenty)\s(?<year>(?&ten)(?:-(?&one))?|(?&teen))|(?&full))"
    r"\b(?![-\s](?:and\s)?(?:(?&word)|(?&ordinal))\b)",
    one=ONES_EN,
    teen=TEENS_EN,
    ten=TENS_EN,
    small=r"(?&ten)(?:[-\s](?&one))?|(?&teen)|(?&one)",
    hundreds=r"(?:(?&teen)|(?&one)|a)[-\s]hundred(?:\s(?:and\s)?(?&small))?|(?&small)",
    full=r"(?&hundreds)[-\s]thousand(?:,?\s(?:and\s)?(?&hundreds))?|(?&hundreds)",
    word=WORD_EN,
    ordinal=r"first|second|third|half|\w+th|halves|thirds|\w+ths",
)

ONES_DE = number_words("ein|eins zwei|zwo drei vier fünf sechs sieben acht neun")
TEENS_DE = number_words(
    "zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn", 10
)
TENS_DE = number_words(
    "zwanzig dreißig|dreissig vierzig fünfzig sechzig siebzig achtzig neunzig", 20, 10
)
WORDS_DE = ONES_DE | TEENS_DE | TENS_DE
GERMAN = define(
    r"\b(?<!\bUhr\s)(?<number>(?&full))\b",
    one=ONES_DE,
    teen=TEENS_DE,
    ten=TENS_DE,
    small=r"(?&one)und(?&ten)|(?&ten)|(?&teen)|(?&one)",
    hundreds=r"(?:(?&teen)|(?&one))?hundert(?:(?:und)?(?&small))?|(?&small)",
    full=r"(?&hundreds)?tausend(?:(?:und)?(?&hundreds))?|(?&hundreds)",
)

DIGITS_KO = number_words("일 이 삼 사 오 육 칠 팔 구")
NATIVE_ONES_KO = number_words("하나|한 둘|두 셋|세|석 넷|네|넉 다섯 여섯 일곱 여덟 아홉")
NATIVE_TENS_KO = number_words("열 스물 서른 마흔 쉰 예순 일흔 여든 아흔", 10, 10)
UNITS_KO = {"십": 10, "백": 100, "천": 1000}
COUNTERS_KO = (
    "원|명|개|년|시간|살|세|쪽|페이지|권|대|층|호|번|달러|유로|킬로|미터|그램|퍼센트|프로|마리|잔|병|"
    "장|석|평|회|송이|그루|벌|켤레|사람|건"
)
KOREAN = define(
    r"(?<![\p{Hangul}\d]|\d\s)"
    r"(?<number>(?<tens>(?&ten))(?<ones>(?&one))|(?&sino)(?=\s?(?&counter))"
    # at the end, two may be a particle or the copula, and one a day
    r"|(?=(?&numeral){3})(?&sino)(?<![이일])(?=(?&behind)))",
    ten=NATIVE_TENS_KO,
    one=NATIVE_ONES_KO,
    digit="[일이삼사오육칠팔구]",
    block="(?:(?&digit)?천)?(?:(?&digit)?백)?(?:(?&digit)?십)?(?&digit)?",
    numeral="[일이삼사오육칠팔구십백천만]",
    sino=r"(?&block)만(?:\s?(?=(?&numeral))(?&block))?|(?&block)",
    particle=r"[이가을를은는에의도로과와만씩정예입]|\P{Hangul}|$",
    counter=rf"(?:{COUNTERS_KO})(?:(?&particle))",
    behind=r"이(?:에요|었|고|야|며|니|라)|입니|(?!이)(?&particle)",
)


def count_english(match: regex.Match[str]) -> int:
    if match["century"]:
        return 100 * WORDS_EN[match["century"].lower()] + sum_english(match["year"])
    return sum_english(match["number"])


def sum_english(text: str) -> int:
    total = current = 0
    for word in regex.findall(r"\w+", text.lower()):
        if word == "hundred":
            current *= 100
        elif word == "thousand":
            total, current = 1000 * current, 0
        else:
            current += WORDS_EN.get(word, 0)  # "and"
    return total + current


def count_german(match: regex.Match[str]) -> int:
    thousands, name, rest = match["number"].lower().rpartition("tausend")
    return 1000 * (sum_german(thousands) or 1) * bool(name) + sum_german(rest)


def sum_german(text: str) -> int:
    """Below a thousand; 0 for nothing."""
    hundreds, name, rest = text.rpartition("hundert")
    rest = rest.removeprefix("und")
    one, _, ten = rest.rpartition("und")
    small = WORDS_DE.get(rest) or WORDS_DE.get(one, 0) + WORDS_DE.get(ten, 0)
    return 100 * WORDS_DE.get(hundreds, 1) * bool(name) + small


def count_korean(match: regex.Match[str]) -> int:
    if match["tens"]:
        return NATIVE_TENS_KO[match["tens"]] + NATIVE_ONES_KO[match["ones"]]
    myriads, name, rest = match["number"].rpartition("만")
    return 10_000 * (sum_korean(myriads) or 1) * bool(name) + sum_korean(rest)


def sum_korean(text: str) -> int:
    total = digit = 0
    for letter in text.strip():
        if unit := UNITS_KO.get(letter):
            total, digit = total + unit * (digit or 1), 0
        else:
            digit = DIGITS_KO[letter]
    return total + digit


class Language(NamedTuple):
    """How a language says numbers.

    Attributes:
        hint: what every number of `pattern` that counts has; most texts do not have it.
        count: the value of a match.
        round_words: that are as good as a word of one part.
    """

    hint: regex.Pattern[str]
    pattern: regex.Pattern[str]
    count: Callable[[regex.Match[str]], int]
    round_words: frozenset[str]


LANGUAGES: Final[Mapping[str, Language]] = {
    "en": Language(
        regex.compile("(?i)teen|ty|hundred|thousand"),
        ENGLISH,
        count_english,
        frozenset(
            {
                *TENS_EN,
                *(f"{one} {size}" for one in ("a", "one") for size in ("hundred", "thousand")),
            }
        ),
    ),
    "de": Language(
        regex.compile("(?i)zig|(?:ß|ss)ig|hundert|tausend"),
        GERMAN,
        count_german,
        frozenset({*TENS_DE, "hundert", "einhundert", "tausend", "eintausend"}),
    ),
    "ko": Language(
        regex.compile(f"[십백천만]|{'|'.join(NATIVE_TENS_KO)}"),
        KOREAN,
        count_korean,
        frozenset("백천만"),
    ),
}


def find_all(text: str, language: str) -> Iterator[tuple[regex.Match[str], int]]:
    """The matches of a text, with the values of their group "number"."""
    rules = LANGUAGES.get(language)
    if rules and rules.hint.search(text):
        for match in rules.pattern.finditer(text):
            if match["number"]:
                yield match, rules.count(match)


def find_spelled_numbers(text: str, language: str) -> list[SpelledNumber]:
    """The numbers that a text spells out; none if its language is not known."""
    return [
        SpelledNumber(*match.span("number"), str(value))
        for match, value in find_all(text, language)
        if value in NUMBERS and match["number"].lower() not in LANGUAGES[language].round_words
    ]


def says_number(text: str, figures: str, language: str) -> bool:
    """Whether a text states a number, in figures or in words.

    True for a language whose words are not known.
    """
    if language not in LANGUAGES:
        return True
    wanted = int(figures)
    said = (read_figures(match) for match in FIGURES.finditer(text))
    return wanted in said or any(value == wanted for _, value in find_all(text, language))


def read_figures(match: regex.Match[str]) -> int:
    return int(regex.sub(r"\D", "", match["figures"])) * SIZES[(match["size"] or "").lower()]
