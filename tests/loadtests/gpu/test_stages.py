"""A stage that fails, crashes or hangs is recorded, and the next one runs."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loadtests.gpu.stages import (
    FAILED,
    OVER_BUDGET,
    PASSED,
    Outcome,
    Stage,
    has_passed,
    make_table,
    run_stages,
)

FINDS_NOTHING_WRONG: dict[str, Any] = {"figures": {"rate": 3.0}, "faults": [], "headline": "3/s"}
PROGRAMS = {
    "good": "",
    "fails": "raise SystemExit(1)",
    "crashes": "import os; print('before', flush=True); os.abort()",
    "hangs": "import time; print('waits', flush=True); time.sleep(60)",
    "silent": "",
    "leaves a child": "import subprocess, sys\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
    " start_new_session=True)\nprint(child.pid, flush=True)\nchild.wait()",
    "last": "",
}


def run(
    names: list[str], results: Path, seconds: float = 1.5, total_seconds: float = 60.0
) -> list[Outcome]:
    def read_findings(stage: Stage) -> Mapping[str, Any]:
        found = {"good": FINDS_NOTHING_WRONG, "last": FINDS_NOTHING_WRONG}
        return found.get(stage.name, {})

    return run_stages(
        [Stage(name, f"the stage {name}", seconds) for name in names],
        lambda stage, _: [sys.executable, "-c", PROGRAMS[stage.name]],
        read_findings,
        {"commit": "abc"},
        results,
        total_seconds,
    )


def test_every_stage_is_run_and_recorded(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    outcomes = run(["good", "fails", "crashes", "hangs", "silent", "last"], results)
    assert [outcome.status for outcome in outcomes] == [
        *(PASSED, FAILED, FAILED, OVER_BUDGET, FAILED, PASSED)
    ]
    written = json.loads(results.read_text("utf-8"))
    assert not written["passed"]
    assert written["about"] == {"commit": "abc"}
    assert written["good"]["figures"] == {"rate": 3.0}
    assert written["crashes"]["log"].startswith("before")
    assert written["hangs"]["status"] == OVER_BUDGET
    assert written["hangs"]["log"] == "waits\n"
    assert 1.5 <= written["hangs"]["seconds"] < 10
    table = make_table(outcomes)
    assert "| the stage hangs" in table
    assert OVER_BUDGET in table
    assert "3/s" in table


def test_all_that_passed_have_passed(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    outcomes = run(["good", "last"], results)
    assert json.loads(results.read_text("utf-8"))["passed"]
    assert not has_passed(outcomes[:1], [outcome.stage for outcome in outcomes])


def test_results_are_written_after_each_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[list[str]] = []
    monkeypatch.setattr(
        "loadtests.gpu.stages.write_json",
        lambda found, _: written.append(
            [name for name in found if name not in ("about", "passed")]
        ),
    )
    run(["good", "fails", "last"], tmp_path / "results.json")
    assert written == [["good"], ["good", "fails"], ["good", "fails", "last"]]


def test_faults_fail_a_stage_whatever_its_exit_status(tmp_path: Path) -> None:
    stage = Stage("good", "good", 10)
    outcomes = run_stages(
        [stage],
        lambda *_: [sys.executable, "-c", ""],
        lambda _: {"figures": {}, "faults": ["it is slow"], "headline": ""},
        {},
        tmp_path / "results.json",
        60.0,
    )
    assert outcomes[0].status == FAILED


def test_stages_that_there_is_no_time_for_are_not_run(tmp_path: Path) -> None:
    started = time.monotonic()
    outcomes = run(["hangs", "good"], tmp_path / "results.json", 30.0, total_seconds=0.5)
    assert time.monotonic() - started < 10
    assert [outcome.status for outcome in outcomes] == [OVER_BUDGET, OVER_BUDGET]
    assert outcomes[1].seconds == 0.0


def test_servers_that_a_stage_started_end_with_it(tmp_path: Path) -> None:
    (outcome,) = run(["leaves a child"], tmp_path / "results.json")
    assert outcome.status == OVER_BUDGET
    stat = Path(f"/proc/{int(outcome.log)}/stat")
    for _ in range(50):
        if not stat.exists() or stat.read_text("ascii").rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the child of a stage that was stopped still runs")
