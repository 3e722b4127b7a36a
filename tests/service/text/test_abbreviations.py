import tomllib
from importlib import resources

import pytest

from service.text.abbreviations import (
    KINDS,
    TABLE,
    ends_unfinished,
    find_abbreviations,
    read_list,
)


def read_in_full(text: str, language: str) -> str:
    for start, end, full in reversed(list(find_abbreviations(text, language))):
        text = text[:start] + full + text[end:]
    return text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Btw, see u tmrw.", "By the way, see you tomorrow."),
        ("Send it ASAP.", "Send it as soon as possible."),
        ("Tea, coffee, etc.", "Tea, coffee, and other things."),
        ("Tea etc. is fine", "Tea and other things is fine"),
        ("We sell tea etc. Come in!", "We sell tea and other things. Come in!"),
        ("No. 5 takes 10 min.", "Number 5 takes 10 minutes."),
        ("Born on Dec. 3 or 4 Jan", "Born on December 3 or 4 January"),
        ("No. He said no.", "No. He said no."),
        ("a U-turn, the UR, u.s., @u, you", "a U-turn, the UR, u.s., @u, you"),
        ("100 BC, MSG, the city of Ur", "100 BC, MSG, the city of Ur"),
        ("Thx, U2", "Thanks, U2"),
        ("This is Max. In a min. The word is apt.", "This is Max. In a minute. The word is apt."),
        ("Max. 5 people, Apt. 7", "Up to 5 people, apartment 7"),
    ],
)
def test_english_abbreviations_are_read_in_full(text: str, expected: str) -> None:
    assert read_in_full(text, "en") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Das dauert ca. 20 Min.", "Das dauert etwa 20 Minuten."),
        ("Tiere, z.B. Hunde", "Tiere, so wie Hunde"),
        ("Tiere, z. B. Hunde", "Tiere, so wie Hunde"),
        ("Tee usw. gibt es.", "Tee und so weiter gibt es."),
        ("Es gibt Tee usw. Der Kaffee ist aus.", "Es gibt Tee und so weiter. Der Kaffee ist aus."),
        ("Goethestr. 5 am Hbf.", "Goethestraße 5 am Hauptbahnhof."),
        ("Das ist Max. Max. 5 Personen", "Das ist Max. bis zu 5 Personen"),
        ("LG Anna", "Viele Grüße, Anna"),
        ("Mein LG Monitor ist neu.", "Mein LG Monitor ist neu."),
        ("20 grad, max, etwas", "20 grad, max, etwas"),
    ],
)
def test_german_abbreviations_are_read_in_full(text: str, expected: str) -> None:
    assert read_in_full(text, "de") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("암튼 넘 좋아", "아무튼 너무 좋아"),
        ("담주에 봐", "다음 주에 봐"),
        ("넘어졌어, 십 년이 넘은 집", "넘어졌어, 십 년이 넘은 집"),
        ("쌤은 샘이야", "선생님은 샘이야"),
    ],
)
def test_korean_chat_words_are_read_in_full(text: str, expected: str) -> None:
    assert read_in_full(text, "ko") == expected


def test_other_languages_have_none() -> None:
    assert not list(find_abbreviations("etc. p. ej.", "es"))
    assert not ends_unfinished("p. ej.", "es")


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        *(("Das kostet 20 € inkl.", "de", True), ("Obst, z. B.", "de", True)),
        *(("Tee usw.", "de", False), ("Ich komme.", "de", False), ("to the dept. ", "en", True)),
    ],
)
def test_no_sentence_ends_with_some(text: str, language: str, expected: bool) -> None:
    assert ends_unfinished(text, language) == expected


def test_each_is_in_one_list_once() -> None:
    text = resources.files("service.text").joinpath(TABLE).read_text(encoding="utf-8")
    for language, kinds in tomllib.loads(text).items():
        assert set(kinds) == set(KINDS)
        for kind in KINDS:
            shorts = [short for short, _ in read_list(kinds[kind])]
            assert len(shorts) == len(set(shorts)), (language, kind)
            for short, full in read_list(kinds[kind]):
                assert short != full
                assert short.endswith(".") or kind not in ("dotted", "glued") or short == "aka"
