"""Large numbers with a word for their size: "5 million", "500만". Korean counts in ten thousands.

A small model takes over the figures and the nearest word for the size, and writes fifty million for
five. So the whole is masked, and what goes back is the number as the target language says it. Pure
functions.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Final

import regex

from service.text.masking.spelled_numbers import COUNTERS_KO, UNITS_KO, SpelledNumber

SIZES_EN = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
SIZES_KO = {"조": 10**12, "억": 10**8, "만": 10**4, "": 1}
CURRENCIES_KO = {"$": "달러", "€": "유로", "£": "파운드", "¥": "엔", "₩": "원", "": ""}
LARGEST = 10**16

# A run of digits is read once, as a whole.
FIGURES = r"(?>\d{1,3}(?:,\d{3}){1,4}+|\d{1,12}+)(?!\d)(?:\.\d{1,6}+(?!\d))?+"
BEFORE = r"(?<![\d.,\p{Latin}_-])"
ENGLISH = regex.compile(
    rf"{BEFORE}(?<currency>[$€£¥₩])?(?<figures>{FIGURES})"
    rf"[\s-]?(?<size>{'|'.join(SIZES_EN)})\b",
    regex.IGNORECASE,
)
PARTS = rf"(?:{FIGURES}[십백천]?){{1,4}}+"  # 2천5백
MORE_COUNTERS = "엔|위안|파운드|부|점|표|인|가구|배|가지|종|곡|편|달|분|초|톤|통|채|척|km|kg|m|%"
REST = rf"(?:\s?{PARTS})?+"
KOREAN = regex.compile(
    # 3만 may be "only three", unless something is counted
    rf"{BEFORE}(?<number>{PARTS}\s?[조억](?:\s?{PARTS}\s?억)?+(?:\s?{PARTS}\s?만)?+{REST}"
    rf"|(?:{PARTS}\s?만{REST}|\d천)(?=\s?여?\s?(?:{COUNTERS_KO}|{MORE_COUNTERS})))"
)
GROUP = regex.compile(rf"(?<parts>{PARTS})\s?(?<size>[조억만]?)")
EACH = regex.compile(rf"(?<figures>{FIGURES})(?<unit>[십백천]?)")


def find_large_numbers(text: str, source: str, target: str) -> Iterator[SpelledNumber]:
    """The large numbers of a text, as the target language says them.

    None but between English and Korean: others say them alike.
    """
    finder = FINDERS.get((source, target))
    if finder:
        yield from finder(text)


def find_english(text: str) -> Iterator[SpelledNumber]:
    for match in ENGLISH.finditer(text):
        value = read_decimal(match["figures"]) * SIZES_EN[match["size"].lower()]
        if value == value.to_integral_value() and value < LARGEST:
            currency = CURRENCIES_KO[match["currency"] or ""]
            yield SpelledNumber(*match.span(), f"{say_in_korean(int(value))} {currency}".rstrip())


def find_korean(text: str) -> Iterator[SpelledNumber]:
    for match in KOREAN.finditer(text):
        value = sum(map(read_group, GROUP.finditer(match["number"])))
        if value == int(value) and value < LARGEST:
            yield SpelledNumber(*match.span("number"), say_in_english(int(value)))


def read_group(match: regex.Match[str]) -> Decimal:
    """The value of what stands before one of 만, 억 and 조, or behind the last of them."""
    parts = (
        read_decimal(each["figures"]) * UNITS_KO.get(each["unit"], 1)
        for each in EACH.finditer(match["parts"])
    )
    return sum(parts, Decimal()) * SIZES_KO[match["size"]]


def read_decimal(figures: str) -> Decimal:
    return Decimal(figures.replace(",", ""))


def say_in_korean(value: int) -> str:
    """Figures in ten thousands: 25억, 1,200만, 123만 4,567."""
    said = []
    for name, size in SIZES_KO.items():
        whole, value = divmod(value, size)
        if whole:
            said.append(f"{whole:,}{name}")
    return " ".join(said)


def say_in_english(value: int) -> str:
    """Figures, with a word for millions and more if few of them are needed: 1.2 million."""
    for name, size in reversed(SIZES_EN.items()):
        if size >= 10**6 and value >= size and value % (size // 1000) == 0:
            return f"{Decimal(value) / size:f} {name}"
    return f"{value:,}"


Finder = Callable[[str], Iterator[SpelledNumber]]
FINDERS: Final[Mapping[tuple[str, str], Finder]] = {
    ("en", "ko"): find_english,
    ("ko", "en"): find_korean,
}
