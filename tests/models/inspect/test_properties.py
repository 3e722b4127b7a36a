from collections.abc import Callable

import numpy as np
import pytest

from models.inspect.properties import PROPERTIES, measure_properties


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("inside quotation marks", 'a "b" c', "0011000"),
        ("inside quotation marks", "“a ”b", "11100"),
        ("inside brackets", "a(b[c])d", "01111100"),
        ("position in the line", "ab\ncd", "12012"),
        ("position in the sentence", "Ab. C", "12012"),
        ("position in the word", "ab c", "1201"),
        ("position in the text", "abc", "123"),
        ("after a line break", "a\n b", "0110"),
        ("in the first line after a blank one", "a\n\nbc\nd", "0011100"),
        ("in a word of capitals", "AB Cd", "01000"),
        ("a capital", "aB", "01"),
        ("white space", "a b\n", "0101"),
        ("a digit", "a1", "01"),
    ],
)
def test_property_of_each_character(name: str, text: str, expected: str) -> None:
    column = list(PROPERTIES).index(name)

    found = measure_properties(text)[:, column]

    assert found.tolist() == [float(value) for value in expected]


@pytest.mark.parametrize("follow", PROPERTIES.values(), ids=list(PROPERTIES))
def test_no_property_looks_ahead(follow: Callable[[str], object]) -> None:
    text = 'He said "No (never)!"\n\nJOHN:\nIt is 7. So?'
    whole = np.array(list(follow(text)), float)  # type: ignore[call-overload]

    for end in range(1, len(text)):
        part = np.array(list(follow(text[:end])), float)  # type: ignore[call-overload]
        np.testing.assert_array_equal(part, whole[:end])
