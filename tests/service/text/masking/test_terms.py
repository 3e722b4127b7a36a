import time

import pytest

from service.text.masking.terms import Terms


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
        ("hot dog", {"hot dog": "Hotdog", "hot": "heiß", "hot d": "x"}, [("hot dog", "Hotdog")]),
        ("İx i", {"i": "ich"}, [("i", "ich")]),
        ("nothing", {}, []),
        ("", {"dog": "Hund"}, []),
    ],
)
def test_terms_are_found_as_words(
    text: str, terms: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    found = Terms(terms).find(text)

    assert [(text[each.start : each.end], each.translation) for each in found] == expected


def test_term_with_and_without_capital_may_differ() -> None:
    found = Terms({"polish": "polieren", "Polish": "polnisch"}).find("polish Polish POLISH")

    assert [each.translation for each in found] == ["polieren", "polnisch", "polieren"]


def test_thousands_of_terms_are_found_as_fast_as_few() -> None:
    started = time.process_time()

    terms = Terms({f"{number}th": "x" for number in range(10_000)})
    found = terms.find("the 77th and 9999th " * 50)

    assert len(found) == 100
    assert time.process_time() - started < 0.5
