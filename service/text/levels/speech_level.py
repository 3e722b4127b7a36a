"""The speech level of a sentence, by simple rules: Korean endings, German pronouns and requests.

Korean has four that are common (Sohn 1999, "The Korean Language", section 9.3): formal polite
합니다, polite 해요, plain 한다, casual 해.
"""

import re
from collections.abc import Callable
from typing import Literal

from service.text.levels.german_imperatives import has_familiar_request

Level = Literal["formal", "polite", "casual", "plain"]
"""How a speaker addresses the listener."""

LEVELS: dict[str, tuple[Level, ...]] = {
    "ko": ("formal", "polite", "casual", "plain"),
    "de": ("formal", "casual"),
}
# Of a translation for which none is asked; without one, the text suggests it.
DEFAULT_LEVELS: dict[str, Level] = {"ko": "polite"}

END_MARKS = re.compile(r"[\s\"'”’」』.!?~…,;:)\]♥♡^ㅋㅎㅠㅜ]+$")
KOREAN_ENDINGS: tuple[tuple[Level, re.Pattern[str]], ...] = (
    ("formal", re.compile(r"(니다|니까|십시오|시오|십시다|니다만)$")),
    ("polite", re.compile(r"((?<![필중주수])요|죠|에용|네용|세여|해여)$")),
    ("plain", re.compile(r"([가-힣]다|는가|은가|인가|하라|느냐)$")),
    (
        "casual",
        re.compile(
            r"(어|아|야|지|니|냐|자|해|래|게|군|네|구나|걸|까|라|거든|는데|은데|나|돼|줘|봐|와|가|"
            r"마|서|대|데|려고|고|면서|여|져|켜|쳐|워|려|껴|거|건데|잖아)$"
        ),
    ),
)
# Single words that end like verbs are mostly nouns, like 어머니 and 카메라.
NOUN = re.compile(r"\S*[니지나라자가마대서고면데거아야여게네다군]")
GERMAN_CASUAL = re.compile(
    r"\b(du|dich|dir|dein|deine[mnrs]?|euch|euer|eure[mnrs]?)\b", re.IGNORECASE
)
# At the start of a sentence it may be "she" or "they".
GERMAN_FORMAL = re.compile(
    r"(?<![.!?:„»\"“…–-] )(?<!^)(?<!^[„»\"“])\b(Sie|Ihnen|Ihr|Ihre[mnrs]?)\b"
)


def level_of(text: str, language: str) -> Level | None:
    """One of the language's `LEVELS`, or None where the text does not tell.

    In a text of several sentences the last one counts in Korean; in German both pronouns at once
    tell nothing.
    """
    judge = JUDGES.get(language)
    return judge(text) if judge else None


def mixes_levels(text: str, language: str) -> bool:
    """Whether a German text says both du and Sie."""
    return language == "de" and all(find_german(text))


def judge_korean(text: str) -> Level | None:
    body = END_MARKS.sub("", text)
    # a word or a title has no level; a sentence that ends in a verb has at least this much
    for level, ending in KOREAN_ENDINGS:
        if ending.search(body):
            is_noun = len(text) == len(body) and NOUN.fullmatch(body)
            is_word = is_noun or (" " not in body and len(body) < 3)
            return None if level in ("casual", "plain") and is_word else level
    return None


def judge_german(text: str) -> Level | None:
    is_formal, is_casual = find_german(text)
    if is_casual == is_formal:
        return None
    return "casual" if is_casual else "formal"


def find_german(text: str) -> tuple[bool, bool]:
    """Whether a text says Sie, and whether it says du."""
    is_casual = bool(GERMAN_CASUAL.search(text)) or has_familiar_request(text)
    return bool(GERMAN_FORMAL.search(text)), is_casual


JUDGES: dict[str, Callable[[str], Level | None]] = {"ko": judge_korean, "de": judge_german}
