import sys

import pytest

from service.text.languages.scripts import dominant_script, script_of


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
