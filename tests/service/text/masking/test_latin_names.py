import pytest

from service.text.korean.hangul import is_syllable
from service.text.masking.latin_names import find_latin_names, read_names


def find(text: str, source: str, target: str = "ko") -> dict[str, str]:
    found = find_latin_names(text, source, target)
    return {text[each.start : each.end]: each.translation for each in found}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Peter Klein lives in Berlin.", {"Peter Klein": "피터 클라인"}),
        ("Will Smith and Sophia came.", {"Will Smith": "윌 스미스", "Sophia": "소피아"}),
        ("Mr. Baker and Mrs. Young called.", {"Baker": "베이커", "Young": "영"}),
        ("a room under the name Miller", {"Miller": "밀러"}),
        ("Jessica's sister knows Robert.", {"Jessica": "제시카", "Robert": "로버트"}),
        ("My name is Rose.", {"Rose": "로즈"}),
    ],
)
def test_names_are_found_in_english(text: str, names: dict[str, str]) -> None:
    assert find(text, "en") == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (
            "Herr Weber, hier ist Michael Schmidt.",
            {"Weber": "베버", "Michael Schmidt": "미하엘 슈미트"},
        ),
        ("Frau Klein ist groß.", {"Klein": "클라인"}),
        ("Ich heiße Wolf.", {"Wolf": "볼프"}),
        ("Peters Haus ist alt.", {}),
        ("Der Bauer kocht.", {}),
    ],
)
def test_names_are_found_in_german(text: str, names: dict[str, str]) -> None:
    assert find(text, "de") == names


@pytest.mark.parametrize(
    "text",
    [
        "Rose is here in May.",
        "The baker is young.",
        "Tom and Mary play.",  # models know them
        "#Robert @Robert robert.org/Robert Robert-",
        "San Diego is warm.",
        "",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert find(text, "en") == {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Peter Klein lives in Berlin.", ["Peter Klein"]),
        ("Mr. Baker and Jessica called.", ["Baker"]),
        ("Robert likes Rose.", []),
        ("Tom Miller's car is red.", []),
    ],
)
def test_full_names_stay_as_they_are_between_english_and_german(
    text: str, names: list[str]
) -> None:
    assert find(text, "en", "de") == {name: name for name in names}
    assert find(text.replace("Mr.", "Herr"), "de", "en") == {name: name for name in names}


def test_korean_has_no_latin_names() -> None:
    assert find("Peter Klein", "ko", "en") == {}


def test_table_is_in_hangul() -> None:
    for name, entry in read_names().items():
        assert entry.is_given or entry.is_family, name
        assert all(all(map(is_syllable, said)) for said in entry.hangul.values()), name
