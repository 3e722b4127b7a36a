import json
import math
from pathlib import Path

import pytest

from loadtests.bench.reporting.goals import Goal
from loadtests.measuring.tables import clean, format_cell, format_table, write_json
from tests.loadtests.samples import FP32, make_results


def test_table_lines_up() -> None:
    lines = format_table(["name", "c=1"], [["a", 1234.5], ["longer", 0.123456]]).splitlines()
    assert lines[0] == "| name   |   c=1 |"
    assert lines[1] == "| ------ | ----: |"
    assert lines[3] == "| longer | 0.123 |"
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1234.5, "1234"), (12.345, "12.3"), (0.5, "0.5"), (3, "3"), (math.nan, "-"), ("x", "x")],
)
def test_cell_has_the_digits_that_matter(value: object, expected: str) -> None:
    assert format_cell(value) == expected


def test_json_is_valid_whatever_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "results" / "run.json"
    write_json(make_results() | {"odd": {1: math.inf}, "goals": [Goal("g", 1.0, 2.0)]}, path)
    found = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert found["odd"] == {"1": None}
    assert found["goals"][0]["is_met"] is False
    assert found["http"]["rounds"]["32"][0][FP32]["requests_per_second"] == 2000.0


def test_a_list_or_object_of_plain_values_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_json({"about": {"cpu": "é", "cpus": 2}, "rows": [[1, 2], {}], "empty": []}, path)
    assert path.read_text(encoding="utf-8").splitlines() == [
        "{",
        ' "about": {"cpu": "é", "cpus": 2},',
        ' "rows": [',
        "  [1, 2],",
        "  {}",
        " ],",
        ' "empty": []',
        "}",
    ]


def test_clean_shortens_numbers() -> None:
    assert clean((1.23456789, [0.1])) == [1.23457, [0.1]]
