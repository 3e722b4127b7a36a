import unicodedata

import pytest

from service.text.korean.particles import CONSONANT, RIEUL, VOWEL, choose_particle, find_last_sound

PAIRS = [
    *(("은", "는"), ("이", "가"), ("을", "를"), ("과", "와"), ("으로", "로")),
    *(("이에요", "예요"), ("이랑", "랑"), ("이라고", "라고"), ("으로는", "로는")),
]


@pytest.mark.parametrize(("after_consonant", "after_vowel"), PAIRS)
def test_either_form_becomes_the_right_one(after_consonant: str, after_vowel: str) -> None:
    for particle in (after_consonant, after_vowel):
        assert choose_particle("책", particle) == after_consonant
        assert choose_particle("사과", particle) == after_vowel


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        *(("서울", "로"), ("부산", "으로"), ("제주도", "로"), ("교실", "로"), ("집", "으로")),
        *(("지하철 7", "로"), ("1", "로"), ("8", "로"), ("3", "으로"), ("2", "로"), ("10", "으로")),
        *(("URL", "로"), ("Seoul", "로"), ("Google", "로"), ("KTX", "로"), ("ATM", "으로")),
    ],
)
def test_rieul_takes_the_short_form_of_euro(previous: str, expected: str) -> None:
    assert choose_particle(previous, "으로") == choose_particle(previous, "로") == expected


def test_rieul_is_a_consonant_for_all_other_particles() -> None:
    particles = ("는", "가", "를", "와", "예요")

    assert [choose_particle("물", particle) for particle in particles] == [
        *("은", "이", "을", "과", "이에요")
    ]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        *(("0", "은"), ("1", "은"), ("2", "는"), ("3", "은"), ("4", "는"), ("5", "는")),
        *(("6", "은"), ("7", "은"), ("8", "은"), ("9", "는"), ("10", "은"), ("100", "은")),
        *(("1,000", "은"), ("50000", "은"), ("2.5", "는"), ("3.14", "는"), ("2,345", "는")),
        *(("3000000000000", "는"), ("300000000", "은"), ("010-1234-5672", "는")),
        *(("50%", "는"), ("5 kg", "은"), ("20km", "는"), ("21℃", "는"), ("12€", "는")),
        *(("$50", "는"), ("€1.200,50", "는"), ("₩45,000", "은"), ("¥500", "은"), ("USD 30", "는")),
        *(("30 USD", "는"), ("500 KRW", "은"), ("A$ 7", "는")),
        *(("3㎏", "은"), ("4㎞", "는"), ("21°C", "는"), ("１", "은")),  # noqa: RUF001
    ],
)
def test_digits_are_read_as_sino_korean(number: str, expected: str) -> None:
    assert choose_particle(number, "은") == expected


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        *(("TV", "가"), ("A", "가"), ("CD", "가"), ("FBI", "가"), ("HTML", "이"), ("PR", "이")),
        *(("ATM", "이"), ("CNN", "이"), ("KTX", "가"), ("USB", "가")),
    ],
)
def test_capitals_are_read_by_their_names(letters: str, expected: str) -> None:
    assert choose_particle(letters, "이") == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        *(("Tom", "이"), ("Jane", "이"), ("John", "이"), ("Paul", "이"), ("Michelle", "이")),
        *(("Jack", "이"), ("Bob", "이"), ("Scott", "이"), ("Eric", "이"), ("Tim Cook", "이")),
        *(("Mary", "가"), ("Peter", "가"), ("Steve", "가"), ("Mark", "가"), ("Robert", "가")),
        *(("Hannah", "가"), ("Alice", "가"), ("David", "가"), ("James", "가"), ("Mike", "가")),
        *(("Facebook", "이"), ("iPhone", "이"), ("Twitter", "가"), ("Netflix", "가")),
        *(("Internet", "이"), ("Microsoft", "가"), ("YouTube", "가"), ("Instagram", "이")),
        *(("Hongkong", "이"), ("Köln", "이"), ("René", "가"), ("WhatsApp", "이")),
    ],
)
def test_latin_words_are_read_as_in_hangul(word: str, expected: str) -> None:
    assert choose_particle(word, "가") == expected


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        *(('"책"', "을"), ("“사과”", "를"), ("「눈」", "을"), ("책!", "을"), ("사과 ", "를")),
        *(("서울(Busan)", "을"), ("Kia (기아)", "를"), ("(책)", "을"), ("그 책... ”", "을")),
        *(("책 😀", "을"), ("[12]", "를"), ("a.m.", "을")),
    ],
)
def test_marks_and_asides_are_skipped(previous: str, expected: str) -> None:
    assert choose_particle(previous, "를") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("값", CONSONANT), ("물", RIEUL), ("나", VOWEL), ("ㄹ", RIEUL), ("ㅋㅋ", CONSONANT)),
        *(("にほん", CONSONANT), ("東京", VOWEL), ("", None), (" ... ", None)),
        (unicodedata.normalize("NFD", "책"), CONSONANT),
    ],
)
def test_last_sound(text: str, expected: str | None) -> None:
    assert find_last_sound(text) == expected


def test_other_particles_and_silent_texts_are_left_alone() -> None:
    assert choose_particle("책", "에서") == "에서"
    assert choose_particle("", "은") == "은"
    assert choose_particle("…", "는") == "는"
