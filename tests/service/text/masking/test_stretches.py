import pytest

from service.text.masking.stretches import is_free
from service.text.masking.terms import Term


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 2, True), (0, 3, False), (3, 4, False), (5, 7, True), (1, 9, False)],
)
def test_stretch_is_free_if_it_overlaps_no_other(start: int, end: int, expected: bool) -> None:
    others = [Term(2, 5, "x"), Term(8, 9, "y")]

    assert is_free(Term(start, end, "z"), others) == expected
