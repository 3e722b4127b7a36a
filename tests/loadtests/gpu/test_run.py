"""The stages of a GPU's check and benchmark, rehearsed on the CPU and over the fake device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.gpu.run import STAGES, TOTAL_SECONDS, main, parse_arguments
from loadtests.measuring.places import ROOT

CALL_SECONDS = 600  # of a machine that is lent for one call


def rehearse(suite: str, prepared: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loadtests.gpu.run", suite, "--rehearse"]
    command += ["--prepared", str(prepared), "--front-ends", "1"]
    environment = {**os.environ, "OUT": str(out), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.mark.parametrize("suite", sorted(STAGES))
def test_rehearsal_runs_every_stage(suite: str, prepared: Path, tmp_path: Path) -> None:
    done = rehearse(suite, prepared, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "over a fake device" in done.stdout
    (written,) = tmp_path.iterdir()
    assert written.name == f"gpu-{suite}-rehearsal.json"
    found = json.loads(written.read_text("utf-8"))
    assert found["passed"]
    assert found["about"]["is_rehearsal"]
    assert set(found) == {"about", "passed", *(stage.name for stage, _ in STAGES[suite])}
    for stage, _ in STAGES[suite]:
        assert stage.title in done.stdout
        assert found[stage.name]["figures"], stage
    if suite == "check":
        slots, joins = (
            found[stage]["figures"]["tiny-translation-lstm"] for stage in ("slots", "joins")
        )
        assert slots["is_captured"] == 1.0
        assert all(slots[f"equal_beam_{size}"] >= 0.9 for size in (1, 2, 3, 4))
        assert joins["num_left"] == 0


def test_without_a_gpu_a_stage_fails_and_says_why(prepared: Path, tmp_path: Path) -> None:
    command = ["check", "--prepared", str(prepared), "--out", str(tmp_path)]
    command += ["--scratch", str(tmp_path), "--seconds", "30", "--stage", "device"]
    assert main(command) == 1
    (written,) = tmp_path.iterdir()
    found = json.loads(written.read_text("utf-8"))
    assert "has no CUDA provider" in found["faults"][0]


def test_both_suites_fit_into_one_call() -> None:
    assert sum(TOTAL_SECONDS.values()) <= CALL_SECONDS - 30
    for suite, stages in STAGES.items():
        # a stage that needs all of its time leaves the others theirs, but for what starts them
        assert sum(stage.seconds for stage, _ in stages) <= 1.3 * TOTAL_SECONDS[suite]


def test_help_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parse_arguments(["--help"])
    shown = capsys.readouterr().out
    assert "--rehearse" in shown
    assert "--scratch" not in shown
