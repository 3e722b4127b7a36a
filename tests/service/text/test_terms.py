import pytest

from service.text.terms import find_terms


@pytest.mark.parametrize(
    ("text", "terms", "expected"),
    [
        ("the dog runs", {"dog": "Hund"}, [("dog", "Hund")]),
        ("Dog and DOG", {"dog": "Hund"}, [("Dog", "Hund"), ("DOG", "Hund")]),
        ("Dog and dog", {"Dog": "Hund"}, [("Dog", "Hund")]),
        ("dogs hotdog dog2 dog_x", {"dog": "Hund"}, []),
        ("dog, (dog) dog's", {"dog": "Hund"}, [("dog", "Hund")] * 3),
        ("서울은 서울에서", {"서울": "Seoul"}, [("서울", "Seoul")] * 2),
        ("내서울", {"서울": "Seoul"}, []),
        # the longest of those that begin at the same place
        ("hot dog", {"hot": "heiß", "hot dog": "Hotdog"}, [("hot dog", "Hotdog")]),
        ("a hot dog", {"a hot": "x", "hot dog": "y"}, [("a hot", "x")]),
        ("C++ (or C#)", {"C++": "C++", "C#": "C#"}, [("C++", "C++"), ("C#", "C#")]),
        ("a.b axb", {"a.b": "c"}, [("a.b", "c")]),
        ("nothing", {}, []),
        ("", {"dog": "Hund"}, []),
    ],
)
def test_terms_are_found_as_words(
    text: str, terms: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    found = find_terms(text, terms)

    assert [(text[each.start : each.end], each.translation) for each in found] == expected


def test_term_with_and_without_capital_may_differ() -> None:
    found = find_terms("polish Polish POLISH", {"polish": "polieren", "Polish": "polnisch"})

    assert [each.translation for each in found] == ["polieren", "polnisch", "polieren"]
