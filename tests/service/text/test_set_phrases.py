import pytest

from service.text.set_phrases import LANGUAGES, find_phrase, read_table

MARKUP = set("{}<>[]@~")


@pytest.mark.parametrize(
    ("text", "source", "target", "expected"),
    [
        ("Sign in", "en", "de", "Anmelden"),
        ("SIGN IN", "en", "de", "ANMELDEN"),
        ("sign in", "en", "ko", "로그인"),
        ("Sign in!", "en", "de", "Anmelden!"),
        ("Einloggen", "de", "en", "Sign in"),
        ("로그인", "ko", "de", "Anmelden"),
        ("Konto erstellen", "de", "en", "Create account"),
        ("Betreten verboten", "de", "en", "No trespassing"),
        ("Best regards,", "en", "de", "Mit freundlichen Grüßen"),
        ("Mit freundlichen Grüßen", "de", "en", "Yours sincerely,"),
        ("Please wait…", "en", "de", "Bitte warten…"),
        ("Are you sure you want to log out?", "en", "ko", "로그아웃하시겠습니까?"),
        ("Print", "en", "de", "Drucken"),
    ],
)
def test_set_phrase_has_its_translation(text: str, source: str, target: str, expected: str) -> None:
    assert find_phrase(text, source, target)[0] == expected


@pytest.mark.parametrize(
    ("text", "source", "target"),
    [
        ("Sign in to continue.", "en", "de"),
        ("print", "en", "de"),
        ("Best regards!", "en", "de"),
        ("Sign in", "en", "en"),
        ("Sign in", "en", "fr"),
        ("", "en", "de"),
        ("...", "en", "de"),
    ],
)
def test_any_other_text_is_none(text: str, source: str, target: str) -> None:
    assert not find_phrase(text, source, target)


def test_each_phrase_is_found_in_each_language() -> None:
    for row in read_table():
        assert set(row) == set(LANGUAGES)
        for source in LANGUAGES:
            for target in set(LANGUAGES) - {source}:
                for way in row[source]:
                    assert way == way.strip()
                    assert not MARKUP & set(way)
                    found = find_phrase(way, source, target)
                    assert found
                    assert all(each == each.strip() for each in found)
