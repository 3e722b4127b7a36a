import pytest

from service.text.korean.romanization import (
    FAMILY_NAMES,
    SYLLABLES,
    read_given_name,
    read_name,
    romanize,
    romanize_name,
)


@pytest.mark.parametrize(
    ("syllables", "latin"),
    [("민수", "minsu"), ("희영", "huiyeong"), ("빛나", "bitna"), ("삼촌", "samchon"), ("옥", "ok")],
)
def test_syllables_are_romanized_one_by_one(syllables: str, latin: str) -> None:
    assert romanize(syllables) == latin


def test_only_hangul_can_be_romanized() -> None:
    with pytest.raises(ValueError, match="'M' is not a Hangul syllable"):
        romanize("Min")


@pytest.mark.parametrize(
    ("family", "given", "name"),
    [("김", "민수", "Kim Min-su"), ("이", "서연", "Lee Seo-yeon"), ("최", "은아", "Choi Eun-a")],
)
def test_family_name_stands_first(family: str, given: str, name: str) -> None:
    assert romanize_name(family, given) == name


@pytest.mark.parametrize(
    ("name", "hangul"),
    [
        ("min-su", "민수"),
        ("minsu", "민수"),
        ("ji-young", "지영"),
        ("jinho", "진호"),
        ("mina", "미나"),
        ("hyunwoo", "현우"),
        ("suah", "수아"),
    ],
)
def test_given_names_are_read_in_usual_spellings(name: str, hangul: str) -> None:
    assert read_given_name(name) == hangul


@pytest.mark.parametrize(
    "name", ["peter", "sook", "choo", "kong", "min", "jean-paul", "", "-", "a"]
)
def test_other_names_are_not_read(name: str) -> None:
    assert read_given_name(name) is None


@pytest.mark.parametrize(
    ("family", "given", "hangul"),
    [
        ("Kim", "Min-su", "김민수"),
        ("Rhee", "JUNHO", "이준호"),
        ("Kim", "Dae-jung", "김대중"),
        ("Smith", "Minsu", None),
        ("Kim", "Peter", None),
    ],
)
def test_names_are_read(family: str, given: str, hangul: str | None) -> None:
    assert read_name(family, given) == hangul


def test_every_romanized_name_is_read_again() -> None:
    for family in FAMILY_NAMES:
        for syllable in SYLLABLES:
            latin = romanize_name(family, f"{syllable}민")
            assert read_name(*latin.split()) is not None, latin
    assert read_name(*romanize_name("박", "서진").split()) == "박서진"
