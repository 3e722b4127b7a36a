import time

import pytest

from service.text.sentences.enclosures import find_enclosed


@pytest.mark.parametrize(
    ("sentence", "inner"),
    [
        ("(Two dogs.)", "Two dogs."),
        ("(two dogs).", "two dogs"),
        ("[ Two dogs? ]", "Two dogs?"),
        ('"Two dogs."', "Two dogs."),
        ("'They don't run.'", "They don't run."),
        ("“Two dogs.”", "Two dogs."),
        ("„Zwei Hunde.“", "Zwei Hunde."),
        ("»Zwei Hunde«!", "Zwei Hunde"),
        ("「두 마리의 개」", "두 마리의 개"),
        ('("Two (big) dogs.")', "Two (big) dogs."),
        ("‘She’s here’", "She’s here"),
        ("(개)", "개"),
    ],
)
def test_what_is_in_brackets_or_quotes_is_found(sentence: str, inner: str) -> None:
    found = find_enclosed(sentence)

    assert found is not None
    assert sentence[slice(*found)] == inner


@pytest.mark.parametrize(
    "sentence",
    [
        "Two dogs.",
        "(Two) dogs (run)",
        '"Yes," she said, "no."',
        '"Two dogs',
        "(Two dogs]",
        "“Two” and “three”",
        "{name}",
        "[X6X]",
        "[USER_NAME]",
        "(c)",
        "(2004)",
        "()",
        ":)",
        "",
    ],
)
def test_what_is_not_wholly_enclosed_is_left(sentence: str) -> None:
    assert find_enclosed(sentence) is None


@pytest.mark.parametrize("text", ["(" * 50_000, "(" * 25_000 + "ab" + ")" * 25_000, '("' * 25_000])
def test_thousands_of_brackets_take_no_time(text: str) -> None:
    started = time.process_time()

    find_enclosed(text)

    assert time.process_time() - started < 1
