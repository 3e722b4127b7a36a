"""Finds placeables: what stands for itself in a text and must pass through a translation unchanged.

Links, addresses, paths, ids, placeholders of message formats, numbers with their separators, tags,
emoji and symbols. The term is that of localization (XLIFF calls them inline elements).
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple, cast

import regex

Kind = Literal["number", "name", "mark"]
"""number: figures, also with a currency or unit. name: what a sentence could have a noun for.
mark: what has no place in the grammar, such as emoji and tags."""

# Models read and write these well, and may choose to write them as words.
SMALL_NUMBER = 20


class Placeable(NamedTuple):
    """A stretch of a text, `text[start:end]`, that stands for itself."""

    start: int
    end: int
    kind: Kind


# Letters of other scripts touch what is found: a Korean particle follows it without a space.
BEFORE, AFTER = r"(?<![A-Za-z0-9_])", r"(?![A-Za-z0-9_])"
URL_CHARACTER = r"[\p{Latin}\d\-._~:/?\#\[\]@!$&'*+,;=%|{}]"
# RFC 3986's characters, with balanced parentheses, and without the sentence's own mark at the end.
URL_REST = rf"(?:{URL_CHARACTER}|\([^\s()]*\))*(?:[\p{{Latin}}\d/\-_~\#@&=+%|}}]|\([^\s()]*\))"
DOMAINS = "com|org|net|edu|gov|io|dev|app|ai|info|me|co|de|at|ch|kr|uk|eu|fr|es|it|nl|jp|cn|us|tv"
FILES = (
    "pdf|docx?|xlsx?|pptx?|odt|ods|txt|csv|tsv|json|ya?ml|toml|xml|html?|css|js|ts|py|rs|go|cpp|java|"
    "sh|md|rst|zip|tar|gz|7z|png|jpe?g|gif|svg|webp|mp[34]|wav|mov|exe|dll|log|ini|conf|cfg|sql|onnx"
)
CURRENCY = r"(?:(?:US|AU|CA|HK|A|C)?[$€£¥₩]|USD|EUR|GBP|KRW|JPY|CHF)"
UNIT = (
    r"(?:[%‰]|°\s?[CF]?|(?:km/h|mph|[kcm]?m[²³]|[kcm]m|[km]g|ml|[KMGT]i?B|kW(?:h)?|[kMG]?Hz|px|dpi)"
    rf"{AFTER})"
)
EMOJI = (
    r"(?:\p{Regional_Indicator}{2}|[0-9\#*]\ufe0f?\u20e3"
    r"|[\p{Extended_Pictographic}--[©®™]]\ufe0f?\p{Emoji_Modifier}?"
    r"(?:\u200d\p{Extended_Pictographic}\ufe0f?\p{Emoji_Modifier}?)*)"
)

# In order of precedence where several match at the same place.
PATTERNS: tuple[tuple[Kind, str], ...] = (
    ("name", r"`[^`\n]+`"),
    ("name", rf"{BEFORE}(?:(?:https?|ftps?|wss?|file|git|ssh)://|(?:data|mailto|tel):){URL_REST}"),
    ("name", rf"{BEFORE}[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"),
    ("name", rf"{BEFORE}www\.{URL_REST}"),
    (
        "name",
        rf"(?<![\w@.-])(?:[A-Za-z0-9-]+\.)+(?:{DOMAINS}){AFTER}(?!\.\w)(?::\d+)?"
        rf"(?:/(?:{URL_REST})?)?",
    ),
    ("name", r"(?<![\w.])@[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"),
    ("name", r"(?<![\w&])\#[\p{L}_][\p{L}\p{N}_]*"),
    ("name", r"\{\{[^{}\n]*\}\}|\$\{[^{}\n]*\}"),
    ("mark", r"\{\\[^{}\n]*\}"),  # subtitles' overrides
    ("name", r"(?P<braces>\{(?:[^{}\n]|(?P>braces))*\})"),
    (
        "name",
        rf"%\([A-Za-z0-9_.]+\)[a-z]|(?<!\d)%(?:\d+\$)?[-+0\#]?\d*(?:\.\d+)?l{{0,2}}[sdiufgxXc@]{AFTER}",
    ),
    ("mark", r"(?<![\w:]):[a-z0-9_+-]+:(?!\w)"),  # emoji by name
    ("name", r"(?<![\w:/)]):[a-z_][a-z0-9_]*\b(?!:)"),
    ("mark", r"</?(?:\d+|[A-Za-z][\w:-]*)(?:\s[^<>\n]*)?/?>|<!--[^\n]*?-->"),
    ("mark", r"&(?:\#\d+|\#x[0-9A-Fa-f]+|[A-Za-z]+\d*);"),
    ("name", r"!\[[^\]\n]*\]\([^)\s]*\)"),
    ("mark", r"\[(?=[^\[\]\n]*\]\([^)\s]*\))|\]\([^)\s]*\)"),
    ("name", r"\[[A-Z]*\d+[A-Z]*\]"),
    ("name", r"(?<![\w/\\])[A-Za-z]:\\[^\s\"<>|]*[^\s\"<>|.,;:!?)]"),
    (
        "name",
        r"(?<![\w/<.])(?:~|\.{1,2})?/(?:[A-Za-z0-9._@-]+/)*[A-Za-z0-9._@-]*[A-Za-z0-9_](?:/(?!\w))?",
    ),
    (
        "name",
        rf"{BEFORE}(?:[A-Za-z0-9_.-]+/)*[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.(?:{FILES}){AFTER}",
    ),
    ("name", r"(?<!\S)--[a-z][\w-]*(?:=\S*[\w/])?"),
    ("name", rf"{BEFORE}[A-Za-z_][A-Za-z0-9_.:]*\(\)"),
    ("name", rf"{BEFORE}(?:_+[A-Za-z0-9]+|[A-Za-z][A-Za-z0-9]*)(?:_+[A-Za-z0-9]+)+_*{AFTER}"),
    ("name", rf"{BEFORE}[0-9A-Fa-f]{{8}}(?:-[0-9A-Fa-f]{{4}}){{3}}-[0-9A-Fa-f]{{12}}{AFTER}"),
    ("name", rf"{BEFORE}(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{{7,}}{AFTER}"),
    ("name", rf"{BEFORE}[A-Z]{{1,4}}(?:&[A-Z]{{1,4}})+{AFTER}"),
    ("name", rf"{BEFORE}[A-Za-z]+-?\d+(?:[.-]?[A-Za-z0-9]+)*{AFTER}"),
    ("name", rf"{BEFORE}\d+[A-Z]{{1,3}}{AFTER}"),
    ("mark", EMOJI),
    (
        "number",
        rf"(?<![\w.])\+\d{{1,3}}(?:[\s./-]?\(?\d+\)?){{2,}}{AFTER}"
        rf"|{BEFORE}(?:\(0\d{{1,4}}\)|0\d{{1,4}})[\s/-]\d{{3,}}(?:[\s-]\d{{2,}})*{AFTER}"
        rf"|{BEFORE}0\d{{1,4}}(?:[\s-]\d{{2}}){{3,}}{AFTER}"
        rf"|{BEFORE}\d{{2,4}}[\s-]\d{{3,4}}[\s-]\d{{4}}{AFTER}"
        rf"|{BEFORE}\d{{4}}(?:[ ]\d{{4}}){{2,}}{AFTER}"
        rf"|{BEFORE}\d{{1,3}}(?:[\s]\d{{3}}){{2,}}{AFTER}",
    ),
    (
        "number",
        rf"(?<![\w.])(?:{CURRENCY}\s?|\#)?[-+−±]?(?<![A-Za-z0-9])\d+"
        r"(?:[.,'’\u00a0\u202f:/–-]\d+)*"
        rf"(?:\s?(?:{CURRENCY}{AFTER}|{UNIT})|{AFTER})",
    ),
    ("number", r"(?<!\w)\p{No}+"),
    ("name", r"\p{Co}"),
    ("mark", r"[<>]?[:;=8][-o*']?[)(\]\[dDpP/|}{@](?![\w/])|<3(?!\d)|\^_*\^"),
    ("mark", r"[[\p{So}\p{Sm}\p{Sk}\p{Cf}\p{No}|~^\\*_=+\ufe0f]--[\u00ad\u200b\u2060\ufeff]]+"),
)
PLACEABLE = regex.compile(
    "|".join(f"(?P<{kind}{index}>{pattern})" for index, (kind, pattern) in enumerate(PATTERNS)),
    regex.VERSION1,
)
# Most sentences have nothing that any of the patterns begins with.
HINT = regex.compile(r"[^\p{L}\p{M}\s.,!?;'’\"“”„()…–-]|[.](?=[A-Za-z])|--", regex.VERSION1)
SMALL = regex.compile(r"\d{1,2}")


def find_placeables(text: str, *, small_numbers: bool = False) -> list[Placeable]:
    """Finds what stands for itself, in the order of the text.

    Args:
        text: any string; lines are best given one by one.
        small_numbers: whether bare numbers up to `SMALL_NUMBER` are wanted, too.
    """
    if not HINT.search(text):
        return []
    return [
        each
        for each in match_patterns(text)
        if small_numbers or not is_small_number(text[each.start : each.end])
    ]


def match_patterns(text: str) -> Iterator[Placeable]:
    for match in PLACEABLE.finditer(text):
        name = match.lastgroup or ""
        yield Placeable(*match.span(), cast(Kind, name.rstrip("0123456789")))


def is_small_number(text: str) -> bool:
    return bool(SMALL.fullmatch(text)) and text[0] != "0" and int(text) <= SMALL_NUMBER
