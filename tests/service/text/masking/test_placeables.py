import random
from itertools import pairwise

import pytest

from service.text.masking.placeables import find_placeables
from tests.service.text.masking.placeables import MARKS, NAMES, NUMBERS, PLAIN


def find_kind(text: str, kind: str) -> list[str]:
    return [text[each.start : each.end] for each in find_placeables(text) if each.kind == kind]


@pytest.mark.parametrize(("text", "expected"), NAMES)
def test_names_are_found(text: str, expected: list[str]) -> None:
    assert find_kind(text, "name") == expected


@pytest.mark.parametrize(("text", "expected"), NUMBERS)
def test_numbers_are_found(text: str, expected: list[str]) -> None:
    assert find_kind(text, "number") == expected


@pytest.mark.parametrize(("text", "expected"), MARKS)
def test_marks_are_found(text: str, expected: list[str]) -> None:
    assert find_kind(text, "mark") == expected


@pytest.mark.parametrize("text", PLAIN)
def test_nothing_is_found_in_words_and_small_numbers(text: str) -> None:
    assert find_placeables(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3 dogs and 20 cats", ["3", "20"]), ("21 dogs", ["21"]), ("the 3rd of the 1990s", [])],
)
def test_small_numbers_are_found_if_wanted(text: str, expected: list[str]) -> None:
    found = find_placeables(text, small_numbers=True)
    assert [text[each.start : each.end] for each in found] == expected


def test_zero_and_numbers_that_begin_with_it_are_not_small() -> None:
    assert find_kind("0 or 05 dogs", "number") == ["0", "05"]


# --- any text ---

NASTY = [
    *"aZé한0\u0661._-/@:#%${}[]()<>!`&;=\\^*~+|,'\"? \n\t",
    *"\u00a0\u200b\u200d\ufe0f\ue000½₂€°\ud800\u0301",
    *("http://", "www.", ".com", ".py", "--", "<!--", "-->", "{{", "](", "%(", "USD ", "&amp;"),
    *("👩", "🇩", "🏽", "1️⃣", "</", "12", "000", "km", "C:\\", "()", ":a:", "{\\"),
]


@pytest.mark.parametrize("seed", range(40))
def test_what_is_found_in_any_text_is_in_order_and_not_empty(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        text = "".join(rng.choice(NASTY) for _ in range(rng.randrange(40)))
        found = find_placeables(text, small_numbers=True)
        assert all(0 <= each.start < each.end <= len(text) for each in found)
        assert all(one.end <= other.start for one, other in pairwise(found))
        assert set(find_placeables(text)) <= set(found)


UNITS = [
    *("a.", "{", "1,", "<a ", "_", "@a.", "%-0", "a-", "a/", "/-/", "![", "![](", "](", "[a](b"),
    *("<!--", "<!-- ", "<!--<", ":a", "`", "{{", "{a", "{{}", "((", "http://", "http://(", "www."),
    *(
        "a1-",
        "a1-a_",
        "1 ",
        "1 111 ",
        "01 111 ",
        "+1",
        "+1 ",
        "(0",
        "&#",
        "--a=",
        "C:\\",
        "_a",
        "a:",
    ),
    *(
        "A&",
        "é",
        "é.",
        "a@",
        "a@b.a.",
        "./",
        "~/",
        "@/",
        "#a",
        "USD ",
        "%1",
        "^_",
        "</",
        "<a b=",
        "½",
    ),
    *(
        "👩\u200d",
        "\ufe0f",
        "\ue000",
        "a1a1",
        "[1",
        "\\",
        "$",
        ";",
        "a.com/(",
        "f(",
        "..",
        "{a}",
        "<",
        "a=",
        "a=.",
        "a.a=b.",
        "a = ",
        "1 - ",
        "1.1 = ",
        "a - ",
        "/ ",
    ),
]


@pytest.mark.parametrize("unit", UNITS)
def test_long_monotonous_text_is_read_to_its_end(unit: str) -> None:
    """It would take minutes if a pattern read on from each place."""
    text = unit * (20_000 // len(unit))

    found = find_placeables(f"{text}\n@end")

    assert all(one.end <= other.start for one, other in pairwise(found))
    assert found[-1].end == len(text) + 5


@pytest.mark.parametrize(
    "text", ["a1" + "a" * 5000 + "_", "+1" + "1" * 5000 + "x", "{" * 5000 + "}" * 5000]
)
def test_pattern_that_fails_late_is_not_tried_in_every_way(text: str) -> None:
    assert len(find_placeables(text)) <= 1
