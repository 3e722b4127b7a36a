import random

import pytest

from service.text.masking.large_numbers import (
    find_large_numbers,
    say_in_english,
    say_in_korean,
)


def find(text: str, source: str, target: str) -> list[tuple[str, str]]:
    found = find_large_numbers(text, source, target)
    return [(text[start:end], given) for start, end, given in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The city has 5 million inhabitants.", [("5 million", "500만")]),
        ("It cost $2.5 billion.", [("$2.5 billion", "25억 달러")]),
        ("About 300 thousand people", [("300 thousand", "30만")]),
        ("1,200 thousand, 12 Million", [("1,200 thousand", "120만"), ("12 Million", "1,200만")]),
        ("a 3-million-dollar house", [("3-million", "300만")]),
        ("1.234567 million", [("1.234567 million", "123만 4,567")]),
        ("millions of people, 3 millionaires, v2 million, 100,000", []),
        ("0.0000001 million", []),
    ],
)
def test_english_numbers_are_said_in_ten_thousands(
    text: str, expected: list[tuple[str, str]]
) -> None:
    assert find(text, "en", "ko") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("월세는 60만 원이에요.", [("60만", "600,000")]),
        ("이 가방은 3만 5천 원이에요.", [("3만 5천", "35,000")]),
        ("인구가 100만 명이에요.", [("100만", "1 million")]),
        ("집값이 5억 원이 넘어요.", [("5억", "500 million")]),
        ("1억 2천만 원에 팔았어요.", [("1억 2천만", "120 million")]),
        ("5천 원만 빌려줘.", [("5천", "5,000")]),
        ("12만원, 1.5만 원", [("12만", "120,000"), ("1.5만", "15,000")]),
        ("1억 2,345만 6,789원", [("1억 2,345만 6,789", "123,456,789")]),
        ("2만여 명이 왔다", [("2만", "20,000")]),
        ("3조 5천억 원", [("3조 5천억", "3.5 trillion")]),
        ("커피 3만 주세요. 60 원, 5천재, 하나만", []),
    ],
)
def test_korean_numbers_are_said_in_thousands(text: str, expected: list[tuple[str, str]]) -> None:
    assert find(text, "ko", "en") == expected


@pytest.mark.parametrize(("source", "target"), [("en", "de"), ("de", "ko"), ("en", "en")])
def test_other_languages_are_left_alone(source: str, target: str) -> None:
    assert find("5 million, 500만 명", source, target) == []


def test_numbers_come_back_through_the_other_language() -> None:
    rng = random.Random(4)
    for _ in range(500):
        value = rng.randrange(1, 10**4) * 10 ** rng.randrange(4, 11)
        ((_, english),) = find(f"{say_in_korean(value)} 원", "ko", "en")
        assert english == say_in_english(value)
        for _, korean in find(english, "en", "ko"):
            assert korean == say_in_korean(value)
