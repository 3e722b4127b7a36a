"""The level at which a text in another language asks to be translated, where it tells.

German has to choose between du and Sie, and sentence by sentence a model mixes them. English tells
by how a letter or a message begins and ends, and Korean by the endings of its verbs.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from service.text.levels.speech_level import Level, judge_korean

# Spaces, but no line breaks, so that no blank lines are read again and again.
BLANK: Final = r"[^\S\n]*"
FORMAL_ENGLISH: Final = re.compile(
    rf"^{BLANK}(?:Dear\s(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Sir|Madam|[Cc]ustomer|[Vv]alued|[Gg]uest)\b"
    r"|To whom it may concern|Ladies and gentlemen)"
    rf"|^{BLANK}(?:Yours (?:sincerely|faithfully)|Sincerely|(?:(?:Best|Kind|Warm) r|R)egards)"
    rf",?{BLANK}$",
    re.MULTILINE,
)
CASUAL_ENGLISH: Final = re.compile(
    rf"^{BLANK}(?:Hey|Hiya|Yo)\b"
    rf"|(?:^{BLANK}|(?:Hi|Hello|Dear|Thanks|Thank you|Sorry|Bye|Love you),?\s|, )"
    r"(?:[Mm]om|[Mm]ommy|[Mm]um|[Mm]ummy|[Dd]ad|[Dd]addy|[Gg]randma|[Gg]randpa|[Gg]ranny|dude|bro"
    r"|buddy|honey|sweetie|darling|babe|my love)\s?[,.!?\n]"
    rf"|\b[Ll]ove (?:you|ya)\b(?! to)|\bxoxo\b|\bxx+{BLANK}$|\blol\b|\bLOL\b",
    re.MULTILINE,
)
SENTENCE_ENDS: Final = re.compile(r"[.!?~…\n]+")
TAIL_CHARS: Final = 40  # of a Korean sentence, in which its ending is


def suggest_level(text: str, language: str) -> Level | None:
    """`formal` or `casual`, or None where the text does not tell or its language is not known."""
    judge = JUDGES.get(language)
    return judge(text) if judge else None


def judge_english(text: str) -> Level | None:
    is_formal, is_casual = FORMAL_ENGLISH.search(text), CASUAL_ENGLISH.search(text)
    if bool(is_formal) == bool(is_casual):
        return None
    return "formal" if is_formal else "casual"


def judge_all_korean(text: str) -> Level | None:
    """Polite endings ask for Sie; where all are casual, for du."""
    levels = {judge_korean(sentence[-TAIL_CHARS:]) for sentence in SENTENCE_ENDS.split(text)} - {
        None,
        "plain",
    }
    if not levels:
        return None
    return "casual" if levels == {"casual"} else "formal"


JUDGES: Final[Mapping[str, Callable[[str], Level | None]]] = {
    "en": judge_english,
    "ko": judge_all_korean,
}
