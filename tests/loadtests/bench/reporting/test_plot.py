import json
from pathlib import Path

from loadtests.bench.reporting.plot import plot_results
from loadtests.measuring.tables import clean, lay_out
from tests.loadtests.samples import make_results

PNG = b"\x89PNG"


def test_all_parts_make_one_picture(tmp_path: Path) -> None:
    path = tmp_path / "run.png"
    plot_results(make_results(), path)
    assert path.read_bytes().startswith(PNG)


def test_a_results_file_makes_the_same_picture(tmp_path: Path) -> None:
    measured, read = tmp_path / "measured.png", tmp_path / "read.png"
    plot_results(make_results(), measured)
    plot_results(json.loads(lay_out(clean(make_results()))), read)
    assert read.read_bytes() == measured.read_bytes()


def test_parts_that_were_not_run_are_left_out(tmp_path: Path) -> None:
    whole, part = tmp_path / "whole.png", tmp_path / "part.png"
    results = make_results()
    plot_results(results, whole)
    plot_results({name: results[name] for name in ("about", "http")}, part)
    assert part.stat().st_size < whole.stat().st_size


def test_run_without_parts_has_no_picture(tmp_path: Path) -> None:
    plot_results({"about": {}}, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
