import random
import sys

import pytest

from service.capitals import is_all_caps, to_sentence_case


@pytest.mark.parametrize(
    "text",
    [
        "HE IS MY FRIEND",
        "THANK YOU!",
        "EIN MANN FÄHRT FAHRRAD.",
        '"WHERE IS IT?" 2 MEN ASK',
        "ŽENA ČTE",
        "DON'T\nGO",
    ],
)
def test_words_in_capitals(text: str) -> None:
    assert is_all_caps(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("He is my friend", "small letters"),
        ("HE IS my FRIEND", "one word is not"),
        ("NASA", "may be an abbreviation"),
        ("USB 3.0!", "may be an abbreviation"),
        ("KTX SRT 타고 갔어요", "abbreviations among letters without capitals"),
        ("안녕하세요 여러분", "no capitals at all"),
        ("12 + 30", "no letters"),
        ("", "no letters"),
        ("İKİ ADAM", "small letters take more characters"),
    ],
)
def test_other_texts(text: str, reason: str) -> None:
    assert not is_all_caps(text), reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HE IS MY FRIEND", "He is my friend"),
        ('2 "BIG" DOGS', '2 "Big" dogs'),
        ("ÜBER DIE STRASSE", "Über die strasse"),
    ],
)
def test_sentence_case(text: str, expected: str) -> None:
    assert to_sentence_case(text) == expected


def test_sentence_case_keeps_every_offset() -> None:
    rng = random.Random(1)
    capitals = [chr(code) for code in range(sys.maxunicode) if chr(code).isupper()]
    for _ in range(300):
        text = " ".join(rng.choice(capitals) for _ in range(20))
        if is_all_caps(text):
            assert list(map(len, to_sentence_case(text).split(" "))) == [1] * 20
