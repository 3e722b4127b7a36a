import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from loadtests.load.curve import Span
from loadtests.load.recorder import FIRST, LATENCY, OK, Recorder
from loadtests.load.report import add_suffix, describe_load, print_load, write_page
from loadtests.load.slo import parse_slo
from loadtests.measuring.places import RESULTS
from loadtests.measuring.tables import write_json

ABOUT = {
    "cpu_model": "A <processor>",
    "num_cpus": 2,
    "date": "2026-01-01",
    "options": {"loop": "open", "shape": "ramp"},
}


def make_results(num_steps: int = 4, loads: tuple[int, ...] = (5, 10, 15, 20)) -> dict[str, Any]:
    recorder, spans = Recorder(), []
    for index, load in enumerate(loads[:num_steps]):
        start = 100.0 + 3 * index
        spans.append(Span(load, start, start + 3))
        for number in range(3 * load):
            due, kind = start + number / load, ("chat", "stream")[number % 2]
            recorder.start(kind, due)
            times = {LATENCY: 10.0 * (index + 1), "queue": 1.0}
            recorder.end(kind, due, OK, times | ({FIRST: 4.0} if kind == "stream" else {}))
    return describe_load(ABOUT, recorder, spans, 0.0, parse_slo("p99=25ms", ["chat"]))


def write(results: dict[str, Any], path: Path) -> dict[str, Any]:
    write_json(results, add_suffix(path, ".json"))
    found: dict[str, Any] = json.loads(
        add_suffix(path, ".json").read_text(encoding="utf-8"), parse_constant=pytest.fail
    )
    return found


def test_page_needs_nothing_beside_it(tmp_path: Path) -> None:
    write(make_results(), tmp_path / "run-1.5")
    written = write_page(tmp_path / "run-1.5")
    page = (tmp_path / "run-1.5.html").read_text(encoding="utf-8")

    assert {path.name for path in written} == {"run-1.5.html", "run-1.5.png"}
    assert (tmp_path / "run-1.5.png").read_bytes().startswith(b"\x89PNG")
    assert 'src="data:image/png;base64,' in page
    assert "A &lt;processor&gt;" in page
    assert not re.search(r'(?:src|href)="?http', page)


def test_page_marks_the_knee_and_says_where_it_is(tmp_path: Path) -> None:
    found = write(make_results(), tmp_path / "run")
    write_page(tmp_path / "run")
    page = (tmp_path / "run.html").read_text(encoding="utf-8")
    load = found["steps"][found["knee"]]["load"]

    assert f"<tr class=knee><td>{load}</td>" in page
    assert f"Knee: load {load}," in page


def test_figures_survive_the_file(tmp_path: Path) -> None:
    results = make_results()
    found = write(results, tmp_path / "run")

    assert found["capacity"] == results["capacity"] == 10
    assert found["slo"] == [{"name": "p99", "value": "40ms", "limit": "25ms", "is_met": False}]
    assert found["kinds"]["stream"]["times"][FIRST]["p50"] == pytest.approx(4.0, rel=0.03)
    assert found["kinds"]["chat"]["times"][FIRST]["p50"] is None
    assert found["about"]["started_ms"] == 100_000


@pytest.mark.parametrize("loads", [(5,), (5, 20, 5), (5, 5, 5)])
def test_runs_that_are_no_curve_have_a_page_too(loads: tuple[int, ...], tmp_path: Path) -> None:
    found = write(make_results(len(loads), loads), tmp_path / "run")

    assert len(write_page(tmp_path / "run")) == 2
    assert [found[key] for key in ("knee", "saturation", "capacity")] == [None] * 3


def test_constant_load_shows_its_drift(capsys: pytest.CaptureFixture[str]) -> None:
    results = make_results(6, (5,) * 6)  # each step takes 10 ms longer than the one before
    print_load(results)

    assert results["drift"] == pytest.approx(5.5 / 1.5, rel=0.05)
    assert "Drift: p99 of the last third of the run is 3.6" in capsys.readouterr().out
    assert make_results()["drift"] is None


def test_tables_name_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    print_load(make_results())
    printed = capsys.readouterr().out

    assert "| p99       |  25ms |  40ms |  NO |" in printed
    assert "Saturation: not reached" in printed
    assert "server CPUs" not in printed


def test_disturbed_figures_are_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    results = make_results()
    for step in results["steps"]:
        step |= {"server_cpus": 1.0, "client_cpus": 0.1, "other_cpus": 0.1, "cpu_ms": 5.0}
    print_load(results)
    assert "measure again" not in capsys.readouterr().out

    results["steps"][1]["other_cpus"] = 0.4
    print_load(results)
    assert "Other programs took up to 0.40 processors" in capsys.readouterr().out


def test_reference_run_can_be_shown_again(tmp_path: Path) -> None:
    shutil.copy(RESULTS / "reference.load.json", tmp_path)
    write_page(tmp_path / "reference.load")
    page = (tmp_path / "reference.load.html").read_text(encoding="utf-8")
    capacity = json.loads((tmp_path / "reference.load.json").read_text(encoding="utf-8"))[
        "capacity"
    ]

    assert "Cost of each kind" in page
    assert capacity > 0
    assert f"Capacity: every step up to load {capacity} met the objectives." in page
