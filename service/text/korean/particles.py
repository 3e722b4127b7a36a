"""Chooses the form of a Korean particle by the last sound before it.

Many particles have two forms: after a consonant (책은, 책을) and after a vowel (차는, 차를).
Text in Hangul shows its sounds. Digits are read as Sino-Korean numbers, capitals by the names of
the letters, and words in Latin letters roughly as they are written in Hangul. An amount ends in its
currency, wherever the sign stands: "$50" is 오십 달러.
"""

import re
import unicodedata
from typing import Final

from service.text.korean.hangul import is_syllable, split_syllable

VOWEL: Final = ""
RIEUL: Final = "ㄹ"
CONSONANT: Final = "ㅂ"  # stands for all others: no particle tells them apart

# after a consonant, after a vowel
_PAIRS = [
    *(("은", "는"), ("이", "가"), ("을", "를"), ("과", "와"), ("으로", "로")),
    *(("이에요", "예요"), ("이었어요", "였어요"), ("이야", "야")),
    *(("이랑", "랑"), ("이나", "나"), ("이라도", "라도")),
    *(("이라고", "라고"), ("이라는", "라는"), ("이라서", "라서"), ("이라면", "라면")),
]
_FORMS = {form: pair for pair in _PAIRS for form in pair}
_FORMS |= {
    form + more: (first + more, second + more)
    for form, (first, second) in list(_FORMS.items())
    if first == "으로"
    for more in ("는", "도", "만", "부터", "서", "써", "의")
}

_SPOKEN = "%€$£¥₩"
_BRACKETS = ")]"
_ASIDE = re.compile(r"(?<=\S)\s*(?:\([^()]*\)|\[[^\[\]]*\])$")
_NUMBER = re.compile(r"\d[\d,]*$", re.ASCII)
_UNIT = re.compile(r"\d\s?([%€$£¥₩]|[a-zA-Z]{1,3})$", re.ASCII)
_PRICE = re.compile(r"([€$£¥₩]|USD|EUR|GBP|KRW|JPY|CHF)\s?\d[\d,.]*$", re.ASCII)
_WORD = re.compile(r"[A-Za-z']+$")

_UNIT_SOUNDS = dict.fromkeys(["g", "kg", "mg"], CONSONANT)  # 그램
_UNIT_SOUNDS |= dict.fromkeys(["m", "km", "cm", "mm"], VOWEL)  # 미터
_UNIT_SOUNDS |= dict.fromkeys(["l", "L", "ml", "mL"], VOWEL)  # 리터
_UNIT_SOUNDS |= dict.fromkeys(["%", "€", "$", "£"], VOWEL)  # 퍼센트, 유로, 달러, 파운드
_UNIT_SOUNDS |= dict.fromkeys(["EUR", "USD", "GBP"], VOWEL)
_UNIT_SOUNDS |= dict.fromkeys(["¥", "₩", "JPY", "KRW", "CHF"], CONSONANT)  # 엔, 원, 프랑
_DIGIT_SOUNDS = {"1": RIEUL, "7": RIEUL, "8": RIEUL} | dict.fromkeys("036", CONSONANT)
_TRILLIONS = range(12, 16)  # zeros of 조, the only power of ten that ends in a vowel
_LETTER_SOUNDS = {"L": RIEUL, "R": RIEUL, "M": CONSONANT, "N": CONSONANT}  # 엘, 알, 엠, 엔

# How English words and names end in Hangul; the first match counts, all others end in a vowel:
# Paul 폴, Google 구글; Tom 톰, Chrome 크롬, Jane 제인; Jack 잭, Facebook 페이스북, Scott 스콧,
# but Mark 마크, Week 위크, Point 포인트, Sweet 스위트.
_ENDINGS = [
    (re.compile(r"le?$"), RIEUL),
    (re.compile(r"([mn]e?|ng)$"), CONSONANT),
    (re.compile(r"(ck|ook|(^|[^aeiou])[aeiou](c|k|b|pp?|tt?))$"), CONSONANT),
    (re.compile(r"[aeiou]p$"), CONSONANT),
]


def choose_particle(previous: str, particle: str) -> str:
    """Returns the form of the particle that fits the text before it.

    Args:
        previous: the text before the particle. Punctuation and quotation marks at its end are
            skipped, and so is an aside in brackets.
        particle: either form of a particle, such as 은 or 는; one that has a single form, or is
            unknown, is returned unchanged.
    """
    if particle not in _FORMS:
        return particle
    sound = find_last_sound(previous)
    if sound is None:
        return particle
    after_consonant, after_vowel = _FORMS[particle]
    if sound == VOWEL or (sound == RIEUL and after_consonant.startswith("으로")):
        return after_vowel
    return after_consonant


def find_last_sound(text: str) -> str | None:
    """Returns VOWEL, RIEUL or CONSONANT for the sound that the text ends in.

    None if nothing in it is spoken.
    """
    text = unicodedata.normalize("NFKC", text)  # ㎏ is kg
    text = _strip_marks(_ASIDE.sub("", _strip_marks(text, _SPOKEN + _BRACKETS)), _SPOKEN)
    if not text:
        return None
    if (unit := _UNIT.search(text)) and unit[1] in _UNIT_SOUNDS:
        return _UNIT_SOUNDS[unit[1]]
    if price := _PRICE.search(text):
        return _UNIT_SOUNDS[price[1]]
    if number := _NUMBER.search(text):
        return _read_number(number[0].replace(",", ""))
    last = text[-1]
    if is_syllable(last):
        final = split_syllable(last)[2]
        return CONSONANT if final not in (VOWEL, RIEUL) else final
    if "\u1100" <= last <= "\u1112":  # ㄱ to ㅎ, read by name: 기역, 니은, 리을
        return RIEUL if last == "\u1105" else CONSONANT
    if word := _WORD.search(text):
        return _read_word(word[0])
    return CONSONANT if last in "んン" else VOWEL


def _strip_marks(text: str, kept: str) -> str:
    """Removes everything after the last letter, digit or kept character."""
    while text and not (text[-1].isalnum() or text[-1] in kept):
        text = text[:-1]
    return text


def _read_number(digits: str) -> str:
    num_zeros = len(digits) - len(digits.rstrip("0"))
    if digits.strip("0") and num_zeros in _TRILLIONS:
        return VOWEL
    return _DIGIT_SOUNDS.get(digits[-1], VOWEL)


def _read_word(word: str) -> str:
    """Reads capitals and single letters by their names, and other words as English."""
    if word.isupper() or len(word) == 1:
        return _LETTER_SOUNDS.get(word[-1].upper(), VOWEL)
    word = word.lower()
    return next((sound for ending, sound in _ENDINGS if ending.search(word)), VOWEL)
