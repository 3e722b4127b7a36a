import pytest

from docs.generate.__main__ import ROOT
from docs.generate.pages import fill_page


def test_only_the_marked_part_of_a_page_is_written_anew() -> None:
    page = "before\n<!-- generated: metrics -->\nold\n<!-- end -->\nafter\n"

    filled = fill_page(page, ROOT)

    assert filled.startswith("before\n<!-- generated: metrics -->\n| metric |")
    assert filled.endswith("|\n<!-- end -->\nafter\n")
    assert "old" not in filled


def test_filling_a_page_twice_changes_nothing() -> None:
    filled = fill_page("<!-- generated: models -->\n<!-- end -->\n", ROOT)

    assert fill_page(filled, ROOT) == filled


def test_an_unknown_part_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        fill_page("<!-- generated: nothing -->\n<!-- end -->\n", ROOT)
