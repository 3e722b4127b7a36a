import unicodedata

import pytest

from service.text.korean.hangul import is_syllable, join_syllable, split_syllable

SYLLABLES = [chr(code) for code in range(ord("가"), ord("힣") + 1)]


def test_a_syllable_has_initial_vowel_and_final() -> None:
    assert split_syllable("값") == ("ㄱ", "ㅏ", "ㅄ")
    assert split_syllable("와") == ("ㅇ", "ㅘ", "")


def test_split_syllables_join_again() -> None:
    assert [join_syllable(*split_syllable(syllable)) for syllable in SYLLABLES] == SYLLABLES


def test_number_of_parts_is_that_of_the_canonical_decomposition() -> None:
    for syllable in SYLLABLES:
        parts = [part for part in split_syllable(syllable) if part]
        assert len(parts) == len(unicodedata.normalize("NFD", syllable))


@pytest.mark.parametrize("text", ["", "a", "ㄱ", "ㅏ", "漢", "\u1100"])
def test_others_are_not_syllables(text: str) -> None:
    assert not is_syllable(text)
    with pytest.raises(ValueError, match="is not a Hangul syllable"):
        split_syllable(text)
