import random
import sys

import pytest

from service.text.casing import (
    is_in_capitals,
    is_short_title,
    lower_title,
    normalize_caps,
    normalize_lone_words,
    normalize_title,
    restore_capitals,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HE IS MY FRIEND", "He is my friend"),
        ("THANK YOU!", "Thank you!"),
        ("DIE GROßE STRAßE", "Die große straße"),
        ('2 "BIG" DOGS', '2 "Big" dogs'),
        ("ŽENA ČTE", "Žena čte"),
        ("DON'T\nGO", "Don't\ngo"),
    ],
)
def test_capitals_become_sentence_case(text: str, expected: str) -> None:
    assert normalize_caps([text]) == [expected]


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
        ("ß", "a small letter"),
        ("", "no letters"),
        ("İKİ ADAM", "small letters take more characters"),
    ],
)
def test_other_texts_are_unchanged(text: str, reason: str) -> None:
    assert normalize_caps([text]) == [text], reason


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        (["STOP!", "DO NOT SWIM.", "1.", "DANGER"], ["Stop!", "Do not swim.", "1.", "Danger"]),
        (["HELP!", "HELP!"], ["Help!", "Help!"]),
        (["NASA!", "DO NOT SWIM.", "Danger"], ["NASA!", "Do not swim.", "Danger"]),
        (["NASA", "", "2"], ["NASA", "", "2"]),
        ([], []),
    ],
)
def test_single_word_follows_the_rest_of_its_text(
    sentences: list[str], expected: list[str]
) -> None:
    assert normalize_caps(sentences) == expected


def test_offsets_do_not_change() -> None:
    rng = random.Random(1)
    capitals = [chr(code) for code in range(sys.maxunicode) if chr(code).isupper()]
    num_normalized = 0
    for _ in range(300):
        text = " ".join(rng.choice(capitals) for _ in range(20))
        (spelled,) = normalize_caps([text])
        assert list(map(len, spelled.split(" "))) == [1] * 20
        num_normalized += spelled != text
    assert num_normalized > 200


def test_letter_that_is_not_a_capital_is_found_anywhere() -> None:
    assert is_in_capitals("A" * 1000)
    assert not is_in_capitals("A" * 1000 + "a")


NAMES = {"Anna", "Berlin", "Peter", "Monday", "Smith"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Two Dogs Are Playing In The Snow", "Two dogs are playing in the snow"),
        ("Two Dogs Are Playing in the Snow.", "Two dogs are playing in the snow."),
        ('"A Man Is Riding A Bicycle"', '"A man is riding a bicycle"'),
        ("Anna Smith Visits Berlin On Monday", "Anna Smith visits Berlin on Monday"),
        ("NASA Sends 3 Dogs To The Moon", "NASA sends 3 dogs to the moon"),
        ("What I Know And What I'm Told", "What I know and what I'm told"),
        ("Don't Touch The Well-Known Dog", "Don't touch the well-known dog"),
        ("The New McDonald's Opens In Berlin", "The new McDonald's opens in Berlin"),
    ],
)
def test_title_case_becomes_sentence_case_except_for_names(text: str, expected: str) -> None:
    assert normalize_title(text, lambda word: word not in NAMES) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Two dogs are playing in the snow", "sentence case"),
        ("Anna met Peter Smith in Berlin on Monday", "a sentence with many names"),
        ("The White House", "a name"),
        ("Save As", "too short"),
        ("안녕하세요 여러분", "no capitals at all"),
        ("12 + 30", "no letters"),
        ("", "no letters"),
        ("İki İnek İyi İşler", "small letters take more characters"),
    ],
)
def test_sentence_that_is_not_in_title_case_is_unchanged(text: str, reason: str) -> None:
    assert normalize_title(text, lambda _: True) == text, reason


def test_length_of_a_title_does_not_change() -> None:
    rng = random.Random(2)
    letters = [chr(code) for code in range(sys.maxunicode) if chr(code).isalpha()]
    for _ in range(300):
        text = " ".join("".join(rng.choices(letters, k=6)).capitalize() for _ in range(6))
        assert len(normalize_title(text, lambda _: True)) == len(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Umbrella", "umbrella"),
        ("Wedding Dress!", "wedding dress!"),
        ("Good morning", "Good morning"),  # known so
        ("Berlin", "Berlin"),
        ("I", "I"),
        ("NASA", "NASA"),
        ("The Wedding Dress", "The Wedding Dress"),
        ("12:30", "12:30"),
        ("", ""),
    ],
)
def test_words_alone_are_read_in_small_letters(text: str, expected: str) -> None:
    assert normalize_lone_words(text, lambda word: word not in {*NAMES, "Good"}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("is anna in berlin?", "is Anna in Berlin?"),
        ("I know peter, and I'm smith", "I know Peter, and I'm Smith"),
        ("Yes, anna", "Yes, Anna"),
        ("anna knows Peter", "anna knows Peter"),  # capitals are where they should be
        ("peter's house", "peter's house"),
        ("안녕 anna", "안녕 Anna"),
        ("", ""),
    ],
)
def test_capitals_come_back_where_there_are_none(text: str, expected: str) -> None:
    assert restore_capitals(text, lambda word: word.capitalize() in NAMES) == expected


@pytest.mark.parametrize("text", ["ßig oﬃce", "ŉ ǰ ΐ", "ﬁsh"])
def test_capitals_that_are_longer_do_not_come_back(text: str) -> None:
    assert len(restore_capitals(text, lambda _: True)) == len(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("My Orders", True),
        ("Terms of Service", True),
        ("Forgot Your Password?", True),
        ("Orders", False),
        ("My orders", False),
        ("MY ORDERS", False),
        ("We like New York", False),
        ("All Our Opening Hours", False),
        ("", False),
    ],
)
def test_labels_of_two_or_three_words_in_title_case_are_told(text: str, expected: bool) -> None:
    assert is_short_title(text) == expected


def test_title_is_lowered_after_its_first_word() -> None:
    assert lower_title("My Paris Orders", lambda word: word != "Paris") == "My Paris orders"
