import json
from pathlib import Path
from typing import Any

from loadtests.bench.reporting.results import ResultsFile
from tests.loadtests.samples import make_results


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_file_holds_every_part_that_is_done(tmp_path: Path) -> None:
    path, figures = tmp_path / "results" / "run.json", make_results()
    results = ResultsFile(path, {"date": "2025-01-01"})
    results.add("engine", figures["engine"])
    first = read(path)
    results.add("translation", figures["translation"])
    second = read(path)

    assert list(first) == ["about", "engine", "goals"]
    assert list(second) == ["about", "engine", "translation", "goals"]
    assert (first["goals"], len(second["goals"])) == ([], 2)
    assert second["about"]["date"] == "2025-01-01"
    assert second["about"]["seconds"] >= first["about"]["seconds"]
