import sys

import pytest

from service.text.languages import (
    detect,
    display_name,
    dominant_script,
    match_code,
    script_of,
    warm_up,
)

SERVED = ("en", "de", "ko")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Guten Morgen", "de"),
        ("Ein Hund läuft", "de"),
        ("Wo ist der Bahnhof?", "de"),
        ("Ich bin müde", "de"),
        ("Where is the station?", "en"),
        ("A man is riding a bicycle down the street.", "en"),
        ("THANK YOU VERY MUCH", "en"),
        ("Good morning", "en"),
        ("이 영화 정말 재미있어요", "ko"),
        ("iPhone 15 Pro 정말 좋아요", "ko"),
        ("ㅋㅋㅋㅋ", "ko"),
    ],
)
def test_short_texts_are_detected(text: str, language: str) -> None:
    assert detect(text, SERVED)[0][0] == language


def test_every_requested_language_is_ranked() -> None:
    ranking = detect("Wo ist der Bahnhof?", SERVED)
    assert sorted(code for code, _ in ranking) == sorted(SERVED)
    assert ranking[0][1] > 90


@pytest.mark.parametrize(
    "text", ["", "   \n", "12345 67.8", "!?…", "😀😀", "\x00", "\ud800", "½ ²"]
)
def test_text_without_letters_gives_the_first_language_without_confidence(text: str) -> None:
    assert detect(text, SERVED) == [("en", 0.0), ("de", 0.0), ("ko", 0.0)]


def test_letters_after_pages_of_figures_are_found() -> None:
    text = "12.5, " * 1000 + "이 영화 정말 재미있어요"
    assert detect(text, SERVED)[0] == ("ko", 100.0)
    assert dominant_script(text) == "hangul"


@pytest.mark.parametrize("text", ["Где вокзал?", "車站在哪裡", "أين المحطة"])
def test_foreign_script_has_no_confidence(text: str) -> None:
    assert {confidence for _, confidence in detect(text, SERVED)} == {0.0}


def test_confidence_is_a_percentage() -> None:
    assert all(0.0 <= confidence <= 100.0 for _, confidence in detect("Hallo Welt", SERVED))


def test_language_unknown_to_the_detector_is_still_ranked() -> None:
    ranking = dict(detect("Where is the station?", ("en", "tlh")))
    assert ranking == {"en": 50.0, "tlh": 50.0}


def test_empty_list_of_languages_gives_an_empty_ranking() -> None:
    assert detect("Hallo", ()) == []


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Hallo", "latin"),
        ("\uff26\uff35\uff2c\uff2c", "latin"),
        ("안녕", "hangul"),
        ("ひらがなカタカナ", "kana"),
        ("車站", "han"),
        ("вокзал", "cyrillic"),
        ("42", ""),
        ("½ ② Ⅳ", ""),
        ("5 µl", "latin"),
        ("3 Ω", "greek"),
        ("ㅋㅋㅋ", "hangul"),
        ("\u1112\u1161\u11ab", "hangul"),
        ("\u0958\u0932\u092e", "devanagari"),
        ("\ufb2a\u05dc\u05d5\u05dd", "hebrew"),
        ("e\u0301\u0302", "latin"),
        ("Բարև", "armenian"),
        ("ⴰⵣⵓⵍ", "unknown"),
        ("スーパーで牛乳を買いました", "kana"),
        ("東京都庁へ行く", "han"),
        ("iPhone 케이스 주세요", "hangul"),
        ("😀👍🏽 ok", "latin"),
        ("5º ⁿ ℵ", ""),
    ],
)
def test_script_is_that_of_most_letters(text: str, script: str) -> None:
    assert dominant_script(text) == script


def test_every_letter_has_a_script_or_none() -> None:
    letters = filter(str.isalpha, map(chr, range(sys.maxunicode + 1)))
    assert {script_of(letter) for letter in letters} >= {"", "latin", "hangul", "unknown"}


@pytest.mark.parametrize(("code", "name"), [("de", "German"), ("ko", "Korean"), ("tlh", "tlh")])
def test_languages_have_english_names(code: str, name: str) -> None:
    assert display_name(code) == name


def test_warm_up_accepts_any_languages() -> None:
    warm_up(SERVED)
    warm_up(())


@pytest.mark.parametrize(
    ("code", "served", "found"),
    [
        ("de", ("en", "de"), "de"),
        ("DE", ("en", "de"), "de"),
        ("en-US", ("en", "de"), "en"),
        ("de_DE", ("en", "de"), "de"),
        ("DE_at", ("en", "de"), "de"),
        ("de-DE-1996", ("en", "de"), "de"),
        ("AUTO", ("auto", "en"), "auto"),
        ("ko-Kore-KR", ("en", "ko"), "ko"),
        ("sr-Latn", ("sr",), "sr"),
        ("sr_Cyrl_RS", ("sr",), "sr"),
        ("pt_br", ("pt", "pt-BR"), "pt-BR"),
        ("pt-PT", ("pt", "pt-BR"), "pt"),
        ("zh-Hans-CN", ("zh",), "zh"),
        ("zh-hant", ("zh", "zh-Hant"), "zh-Hant"),
        ("zh_Hant_TW", ("zh", "zh-Hant"), "zh-Hant"),
    ],
)
def test_code_means_the_closest_language_served(
    code: str, served: tuple[str, ...], found: str
) -> None:
    assert match_code(code, served) == found


@pytest.mark.parametrize("code", ["zh-Hant", "de-Cyrl", "ger", "d", "", "-", "e-n", "deu_DE", "😀"])
def test_code_of_no_language_served_is_left_as_it_is(code: str) -> None:
    assert match_code(code, ("en", "de", "zh")) == code
