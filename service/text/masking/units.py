"""Figures with a currency or a unit: "$50", "20 %", "85 kg".

To a model all masks of numbers are alike, so that it may count what is counted already: "über $50
Uhr", "$50년 이상". Such a word behind the mask is left out. Pure functions.
"""

from collections.abc import Mapping
from typing import Final

import regex

from service.text.masking.placeables import CURRENCY, UNIT

MEASURED: Final = regex.compile(
    rf"\s*[-+−±]?(?:{CURRENCY}.*\d|.*\d\s?(?:{CURRENCY}|{UNIT})\s*)", regex.DOTALL
)
# What a number without a unit may have behind it, and one with a unit never. In Korean without the
# words that are something else, too: 일, 분, 도.
KOREAN_ENDING: Final = (
    r"(?=(?:[은는이가을를와과의도만에로]|으로|이나|나|에서|까지|부터|보다|이상|이하|이에요|예요|입니다|이다|이며|이고)?"
    r"(?!\p{Hangul}))"
)
COUNTERS: Final[Mapping[str, regex.Pattern[str]]] = {
    "en": regex.compile(
        r"\s(?:o['’]clock|[ap]\.?m\b\.?|dollars?|euros?|pounds|percent|years? old|years)\b"
    ),
    "de": regex.compile(
        r"\s(?:Uhr|Jahren?|Jahre alt|Euro|Dollar|Pfund|Won|Prozent|Kilometern?|Kilo|Grad)\b"
    ),
    "ko": regex.compile(
        rf"\s?(?:년|월|시|살|원|달러|유로|파운드|퍼센트|프로|명|번|층){KOREAN_ENDING}"
    ),
}


def is_measured(figures: str) -> bool:
    """Whether figures have their currency or unit with them."""
    return MEASURED.fullmatch(figures) is not None


def find_counter_end(text: str, end: int, language: str) -> int:
    """Where a word ends that would count again what ends at an offset; the offset without one."""
    counter = COUNTERS.get(language)
    match = counter.match(text, end) if counter else None
    return match.end() if match else end
