"""Full names of Koreans, which a small model spells by chance: "김민수" is Kim Min-su.

They are masked, and what goes back is the name in the letters of the target language. What may be
something else stays: a name is only taken for one beside a title, where somebody says who he is, or
with a hyphen between its syllables. Pure functions.
"""

from collections.abc import Iterator
from typing import Final

import regex

from service.text.korean.hangul import split_syllable
from service.text.korean.romanization import (
    FAMILY_NAMES,
    SYLLABLES,
    read_name,
    romanize_name,
)
from service.text.masking.terms import Term

TITLES: Final = (
    "선생|교수|박사|과장|부장|차장|대리|팀장|사장|실장|본부장|이사|전무|상무|대표|회장|원장|소장|의원|장관|총리|"
    "대통령|시장|감독|코치|선수|배우|가수|작가|기자|변호사|판사|의사|간호사|목사|신부|고객|환자|학생|어린이|누나|"
    "언니|오빠|아저씨|아주머니|할머니|할아버지"
)
NAME: Final = (
    rf"(?<name>(?<family>[{''.join(FAMILY_NAMES)}])"
    rf"(?<given>[{''.join(sorted(SYLLABLES))}]{{2}}))"
)
START: Final = r"(?<![\p{L}\p{N}])"
PARTICLE: Final = r"(?:[은는이가을를와과의도만께,.!?)]|에게|한테|이랑|랑|하고|$|\s)"
COPULA: Final = r"(?:입니다|이에요|예요|이야|이다|이고|이라고|라고)"
SPEAKER: Final = r"(?<=\b[저나]는\s|\b[제내]가\s|\b전\s|\b난\s)"
NAMED: Final = r"(?<=(?:이름|성함)(?:[은이]|:)\s)"
HANGUL: Final = (
    # what nothing but a person is called, and what is said to be a name
    regex.compile(rf"{START}{NAME}(?=\s?(?:씨|님){PARTICLE}|\s(?:드림|올림)\s*$)"),
    regex.compile(rf"{NAMED}{NAME}(?={COPULA}|[.!]?$)"),
    # what may stand behind other words, too: 한국의 대통령
    regex.compile(rf"{START}{NAME}(?=\s(?:{TITLES})(?:님|{PARTICLE}))"),
    regex.compile(rf"{START}(?=[김박]){NAME}(?={PARTICLE}|께서)"),  # no other word begins so
    regex.compile(rf"{SPEAKER}{NAME}(?={COPULA})"),
    regex.compile(rf"(?<=(?:^|[,.!?])\s?){NAME}(?=입니다|이에요|예요)"),
)
SURE: Final = HANGUL[:2]
NO_NAMES: Final = regex.compile(
    "강아지|고등어|고지서|공무원|공화국|기술자|노동자|도우미|방송국|송아지|신학교|여학교|연구원|유명인|유치원|이미지|이용자|"
    "임신부|전문가|정수기|조종사|주인공|차라리"
)
# What a word ends in that is an adjective or has a particle: after a consonant, a vowel, or any.
ENDINGS: Final = {"consonant": "은을이과", "vowel": "나라로와", "any": "가의도만고한인에해"}

PAIR: Final = regex.compile(
    r"(?<![\p{L}\p{N}_@./-])(\p{Lu}[\p{L}-]+)\s(\p{Lu}[\p{L}-]+)(?![\p{L}\p{N}_@])"
)
MIN_JOINED: Final = 4
# These may be words of their own beside a given name without a hyphen: "Do Minsu and Jihye know?"
WORDS: Final = regex.compile(
    "an|ban|chin|do|go|ha|im|jo|min|moon|no|oh|pan|ro|sin|son|song|sun|um|wi|won|you"
)


def find_korean_names(text: str, source: str, target: str) -> Iterator[Term]:
    """The names of a text, in the letters of the target language."""
    if source == "ko":
        yield from find_hangul(text)
    else:
        yield from find_latin(text, target)


def find_hangul(text: str) -> Iterator[Term]:
    """Names in Hangul, romanized."""
    end = 0
    matches = (match for pattern in HANGUL for match in pattern.finditer(text))
    for match in sorted(matches, key=lambda match: match.start()):
        if match.start() < end or not (match.re in SURE or is_name(match["name"])):
            continue
        end = match.end()
        yield Term(*match.span("name"), romanize_name(match["family"], match["given"]))


def is_name(name: str) -> bool:
    """Whether a word of three syllables can hardly be anything but a name."""
    if NO_NAMES.fullmatch(name):
        return False
    _, _, final = split_syllable(name[1])
    endings = ENDINGS["consonant" if final else "vowel"] + ENDINGS["any"]
    return name[2] not in endings


def find_latin(text: str, target: str) -> Iterator[Term]:
    """Names in Latin letters, in Hangul for Korean and as they are for other languages."""
    end = 0
    for match in PAIR.finditer(text, overlapped=True):
        if match.start() < end:
            continue
        first, second = match.groups()
        hangul = read_pair(first, second) or read_pair(second, first)
        if hangul:
            end = match.end()
            yield Term(*match.span(), hangul if target == "ko" else match[0])


def read_pair(family: str, given: str) -> str | None:
    """A family name and a given name in Hangul; None if they are none, or words of a sentence."""
    is_word = "-" not in given and (len(given) < MIN_JOINED or WORDS.fullmatch(family.lower()))
    return None if is_word else read_name(family, given)
