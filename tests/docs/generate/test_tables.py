import pytest

from docs.generate.tables import format_cell, format_table


def test_columns_of_numbers_are_aligned_to_the_right() -> None:
    table = format_table(["name", "value"], [["a", 1.5], ["b", None]])

    assert table.splitlines() == ["| name | value |", "| --- | --: |", "| a | 1.5 |", "| b | - |"]


@pytest.mark.parametrize(
    ("cell", "shown"),
    [(0.12345, "0.123"), (99.96, "100"), (1849.76, "1,850"), (7, "7"), ("a|b", r"a\|b")],
)
def test_a_cell_has_about_three_digits_and_no_pipe(cell: object, shown: str) -> None:
    assert format_cell(cell) == shown


def test_a_cell_opens_no_tag() -> None:
    assert format_cell("<name>/<version>") == "&lt;name>/&lt;version>"
