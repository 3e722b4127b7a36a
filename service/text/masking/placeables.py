"""Finds placeables: what stands for itself in a text and must pass through a translation unchanged.

Links, addresses, paths, ids, placeholders of message formats, numbers with their separators, tags,
emoji and symbols. The term is that of localization (XLIFF calls them inline elements).
"""

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
# RFC 3986's characters, with balanced parentheses, and without the sentence's own mark at the end.
URL_PART = r"(?:[\p{Latin}\d/_~\#@&=+%|}-]++|\([^\s()]*+\))"
URL_REST = rf"(?:{URL_PART}|[.:?\[\]!$'*,;{{]++(?={URL_PART}))++"
DOMAINS = "com|org|net|edu|gov|io|dev|app|ai|info|me|co|de|at|ch|kr|uk|eu|fr|es|it|nl|jp|cn|us|tv"
FILES = (
    "pdf|docx?|xlsx?|pptx?|odt|ods|txt|csv|tsv|json|ya?ml|toml|xml|html?|css|js|ts|py|rs|go|cpp|java|"
    "sh|md|rst|zip|tar|gz|7z|png|jpe?g|gif|svg|webp|mp[34]|wav|mov|exe|dll|log|ini|conf|cfg|sql|onnx"
)
CODES = "USD|EUR|GBP|KRW|JPY|CHF"
CURRENCY = rf"(?:(?:US|AU|CA|HK|A|C)?[$€£¥₩]|{CODES})"
UNIT = (
    r"(?:[%‰℃℉]|°\s?[CF]?|(?:km/h|mph|[kcm]?m[²³]|[kcm]m|[km]g|ml|[KMGT]i?B|kW(?:h)?|[kMG]?Hz|px|dpi)"
    rf"{AFTER})"
)
EMOJI = (
    r"(?:\p{Regional_Indicator}{2}"
    r"|[\p{Extended_Pictographic}--[©®™]]\ufe0f?\p{Emoji_Modifier}?[\U000e0020-\U000e007f]*+"
    r"(?:\u200d\p{Extended_Pictographic}\ufe0f?\p{Emoji_Modifier}?){0,9}+)"
)
# Encoded data: no word is as long.
BLOB_CHARS = 200
BLOB = rf"(?<!\S)[!-~]{{{BLOB_CHARS},}}+"
HANDLE = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
# Nothing in it begins another link, so that no stretch of a text is read twice.
LINK = r"\]\((?:[^()\s]++|\([^()\s]*+\))*+\)"
BRACES = r"\{[^{}\n]*+\}"
for _ in range(5):  # a message of ICU has plurals, which have messages in them
    BRACES = rf"\{{(?:[^{{}}\n]++|{BRACES})*+\}}"
PHONE_NUMBER = (
    rf"(?:0\d{{1,4}}[\s/-]\d{{3,}}(?:[\s-]\d{{2,}}){{0,8}}|0\d{{1,4}}(?:[\s-]\d{{2}}){{3,8}}"
    rf"|\d{{4}}(?:[ ]\d{{4}}){{2,8}}|\d{{2,4}}[\s-]\d{{3,4}}[\s-]\d{{4}}){AFTER}"
)
NUMBER = (
    rf"(?<![\p{{Latin}}\d_.])(?:{CURRENCY}\s?|\#)?[-+−±]?(?<![A-Za-z0-9])"
    r"(?:\d{1,3}(?:[ ]\d{3}){1,8}+(?!\d)|\d+)(?:[.,'’\u00a0\u202f:/~\uff5e–-]\d+){0,20}"
    rf"(?:\s?(?:{CURRENCY}{AFTER}|{UNIT})|{AFTER})"
)

# Operators stand between spaces; others belong to a number, a path or a word. An operand is a
# number or a letter.
OPERATOR = r"\s[=+*×÷·^<>≤≥≠≈±/]\s"
MINUS = r"\s[-−]\s"
OPERAND = (
    r"(?:\d{1,18}+(?:[.,]\d{1,18}+){0,8}+[a-z]?|[A-Za-z](?:\d|[₀-₉²³]|\([a-z0-9]\))?)"
    rf"{AFTER}"
)
FORMULA = (
    rf"{OPERAND}(?:{MINUS}{OPERAND}){{0,5}}{OPERATOR}{OPERAND}"
    rf"(?:(?:{OPERATOR}|{MINUS}){OPERAND}){{0,20}}+"
)

# In order of precedence where several match at the same place. The time is linear in the length of
# a text: what could begin at each place of a long run begins only at its start, or reads a bounded
# number of parts.
Patterns = tuple[tuple[Kind, str], ...]
# They begin with a letter, a digit or a low line behind none of these.
WORD_PATTERNS: Patterns = (
    ("name", FORMULA),
    ("name", r"[A-Za-z_][\w.-]{0,60}+=[^\s\"'<>,;=]{0,200}[\p{L}\p{N}/%)]"),
    ("name", rf"(?:(?i:https?|ftps?|wss?|file|git|ssh)://|(?:data|mailto|tel):){URL_REST}"),
    # at most 64 before the at sign (RFC 5321)
    ("name", r"[A-Za-z0-9_][A-Za-z0-9._%+-]{0,63}+@[A-Za-z0-9-]++(?:\.[A-Za-z0-9-]++){1,10}+"),
    ("name", rf"(?i:www)\.{URL_REST}"),
    (
        "name",
        rf"(?<![\p{{Latin}}\d_@.-])(?:[\p{{Latin}}\d-]++\.){{1,10}}(?:{DOMAINS}){AFTER}(?!\.\w)(?::\d+)?"
        rf"(?:/(?:{URL_REST})?)?",
    ),
    ("name", r"(?<![/\\])[A-Za-z]:\\[^\s\"<>|]*[^\s\"<>|.,;:!?)]"),
    (
        "name",
        r"(?<![./-])(?:[A-Za-z0-9_.-]++/){0,20}[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]++){0,10}"
        rf"\.(?:{FILES}){AFTER}",
    ),
    ("name", r"(?<![.:])[A-Za-z_][A-Za-z0-9_.:]*+\(\)"),
    ("name", r"(?:_++[A-Za-z0-9]++|[A-Za-z][A-Za-z0-9]*+)(?:_++[A-Za-z0-9]++){1,20}+_*+"),
    ("name", rf"[0-9A-Fa-f]{{8}}(?:-[0-9A-Fa-f]{{4}}){{3}}-[0-9A-Fa-f]{{12}}{AFTER}"),
    ("name", rf"(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{{7,}}{AFTER}"),
    ("name", rf"[A-Z]{{1,4}}(?:&[A-Z]{{1,4}}){{1,5}}{AFTER}"),
    ("name", r"[A-Za-z]++[₀-₉²³][A-Za-z0-9₀-₉]*+"),
    (
        "name",
        r"[A-Za-z]++[+-]?\d++[A-Za-z0-9]*+(?:[.-](?=[A-Za-z]{0,8}\d)[A-Za-z0-9]++){0,12}+"
        rf"{AFTER}",
    ),
    ("name", rf"\d++[A-Z]{{1,3}}{AFTER}"),
    ("number", PHONE_NUMBER),
    ("number", NUMBER),
)
SYMBOL_PATTERNS: Patterns = (
    ("name", r"`[^`\n]++`"),
    ("name", rf"(?<![\p{{Latin}}\d_.])@{HANDLE}(?:/{HANDLE}){{0,5}}"),
    ("name", r"(?<![\p{Latin}\d_&])(?:\#[\p{L}_][\p{L}\p{N}_]*+){1,30}+"),
    ("name", r"\{\{[^{}\n]*+\}\}|\$\{[^{}\n]*+\}"),
    ("mark", r"\{\\[^{}\n]*+\}"),  # subtitles' overrides
    ("name", BRACES),
    (
        "name",
        rf"%\([A-Za-z0-9_.]++\)[a-z]|(?<!\d)%(?:\d+\$)?[-+0\#]?\d*(?:\.\d+)?l{{0,2}}[sdiufgxXc@]{AFTER}",
    ),
    ("mark", r"(?<![\p{Latin}\d_:]):[a-z0-9_+-]++:(?!\w)"),  # emoji by name
    ("name", r"(?<![\w:/)]):[a-z_][a-z0-9_]++(?!:)"),
    ("mark", r"</?(?:\d++|[A-Za-z][\w:-]*+)(?:\s[^<>\n]*+)?/?>"),
    ("mark", r"<!--(?:[^\n<-]++|-(?!->)|<(?!!--))*+-->"),
    ("mark", r"&(?:\#\d+|\#x[0-9A-Fa-f]+|[A-Za-z]+\d*);"),
    ("name", rf"!\[[^\[\]\n]*+{LINK}"),
    ("mark", rf"\[(?=[^\[\]\n]*+{LINK})|{LINK}"),
    ("name", r"\[[A-Z]*\d+[A-Z]*\]"),
    ("name", r"\\\\[\w.-]++\\[^\s\"<>|]*[^\s\"<>|.,;:!?)]"),
    (
        "name",
        r"(?<![\w/<.@-])(?:~|\.{1,2}|@)?/(?:[A-Za-z0-9._@-]++/){0,20}[A-Za-z0-9._@-]*[A-Za-z0-9_](?:/(?!\w))?",
    ),
    ("name", r"(?<!\S)--[a-z][\w-]*+(?:=\S*[\w/])?"),
    ("mark", EMOJI),
    # beside figures, or alone between words, where a model reads it as a word
    ("name", rf"(?<=\S\s)[=+*×÷<>≤≥≠≈/]\s(?:{FORMULA}|{OPERAND})"),
    ("name", r"(?<=\S\s)[\p{Sm}/](?=\s\S)"),
    (
        "number",
        rf"(?<![\w.])\+\d(?:[ \u00a0./–-]?(?:\(\d{{1,5}}\)|\d)){{4,20}}+{AFTER}"
        rf"|\(0\d{{1,4}}\)[\s/-]?\d{{3,}}(?:[\s-]\d{{2,}}){{0,8}}{AFTER}",
    ),
    ("number", NUMBER),
    ("number", r"(?<!\w)\p{No}++"),
    ("name", r"\p{Co}"),
    ("mark", r"[<>]?[:;=][-o*']?[)(\]\[dDpPoOxXsS/|}{@](?![\w/])|<3(?!\d)|\^_*+\^"),
    ("mark", r"\\[nrt\"']"),
    ("mark", r"[[\p{So}\p{Sm}\p{Sk}\p{Cf}\p{No}|~^\\*_=+\ufe0f]--[\u00ad\u200b\u2060\ufeff]]++"),
)
# A word may be one only by what ends it: no letter, and no mark of the sentence.
WORD_HINT = (
    r"\p{Latin}*+(?:[^\p{L}\p{M}\s.,;!?'’\"“”„…)\]}]|\.(?=[\p{Latin}\d_-]))"
    rf"|(?:{CODES})\s|[A-Za-z]\d?(?:{OPERATOR}|{MINUS})"
)
PLAIN = r"[\p{L}\d\s,'’\"“”„…?)]|[.](?![./])|!(?!\[)|\((?!0)|-(?![\d-])"


def join_patterns(patterns: Patterns) -> str:
    """Alternatives in groups that bear the names of their kinds."""
    return "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in patterns)


PLACEABLE = regex.compile(
    rf"(?P<name>{BLOB})|(?P<mark>[0-9\#*]\ufe0f?\u20e3)"
    rf"|(?<![\p{{Latin}}\d_])(?=[\p{{Latin}}\d_])(?={WORD_HINT})(?:{join_patterns(WORD_PATTERNS)})"
    rf"|(?!{PLAIN})(?:{join_patterns(SYMBOL_PATTERNS)})",
    regex.VERSION1,
)
# Most sentences have nothing that any of the patterns begins with.
HINT = regex.compile(
    r"[^\p{L}\p{M}\s.,!?;'’\"“”„()…–-]|[.](?=\p{Latin})|--|;[^\s\p{L}]", regex.VERSION1
)
LONG_HINT = regex.compile(BLOB)
SMALL = regex.compile(r"\d{1,2}")


def find_placeables(text: str, *, small_numbers: bool = False) -> list[Placeable]:
    """Finds what stands for itself, in the order of the text.

    Args:
        text: any string; lines are best given one by one.
        small_numbers: whether bare numbers up to `SMALL_NUMBER` are wanted, too.
    """
    if not (HINT.search(text) or (len(text) >= BLOB_CHARS and LONG_HINT.search(text))):
        return []
    return [
        Placeable(*match.span(), cast(Kind, match.lastgroup))
        for match in PLACEABLE.finditer(text)
        if small_numbers or not is_small_number(match[0])
    ]


def is_small_number(text: str) -> bool:
    return bool(SMALL.fullmatch(text)) and text[0] != "0" and int(text) <= SMALL_NUMBER
