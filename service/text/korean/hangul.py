"""The parts of Hangul syllables (The Unicode Standard, section 3.12)."""

from typing import Final

INITIALS: Final = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS: Final = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
FINALS: Final = " ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
FIRST, LAST = "가", "힣"


def is_syllable(character: str) -> bool:
    return FIRST <= character <= LAST


def split_syllable(syllable: str) -> tuple[str, str, str]:
    """Splits a syllable into initial, vowel and final; the final is empty if there is none.

    Raises:
        ValueError: the character is not a Hangul syllable.
    """
    if not is_syllable(syllable):
        raise ValueError(f"{syllable!r} is not a Hangul syllable")
    code, final = divmod(ord(syllable) - ord(FIRST), len(FINALS))
    initial, vowel = divmod(code, len(VOWELS))
    return INITIALS[initial], VOWELS[vowel], FINALS[final].strip()


def join_syllable(initial: str, vowel: str, final: str = "") -> str:
    code = INITIALS.index(initial) * len(VOWELS) + VOWELS.index(vowel)
    return chr(ord(FIRST) + code * len(FINALS) + FINALS.index(final or " "))
