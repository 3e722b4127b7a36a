"""Runs stages one after the other, each in a process and a time of its own.

A stage that hangs in a driver cannot be stopped from within, and one that crashes must not take
the others along. The results file is written anew after each stage, so that whatever ends the run
leaves the stages before.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.measuring.processes import list_tree
from loadtests.measuring.tables import format_table, write_json

PASSED, FAILED, OVER_BUDGET = "passed", "failed", "over budget"
LOG_CHARACTERS = 2000
Command = Callable[["Stage", float], Sequence[str]]


@dataclass(frozen=True)
class Stage:
    """One part of a run.

    Attributes:
        title: what the table calls it.
        seconds: that it may take.
    """

    name: str
    title: str
    seconds: float


@dataclass
class Outcome:
    """How a stage ended.

    Attributes:
        status: PASSED, FAILED or OVER_BUDGET.
        findings: what the stage wrote; empty if it did not come to that.
        log: the end of what it printed, unless it passed.
    """

    stage: Stage
    status: str
    seconds: float
    findings: Mapping[str, Any]
    log: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.stage.title,
            "status": self.status,
            "seconds": self.seconds,
            "budget_seconds": self.stage.seconds,
            **self.findings,
            **({"log": self.log} if self.log else {}),
        }


def run_stages(
    stages: Sequence[Stage],
    make_command: Command,
    read_findings: Callable[[Stage], Mapping[str, Any]],
    about: Mapping[str, Any],
    results: Path,
    total_seconds: float,
) -> list[Outcome]:
    """Runs all stages, also after one has failed.

    Args:
        stages: in their order.
        make_command: builds the command of a stage, with its limit in seconds.
        read_findings: what the stage wrote; empty if nothing.
        about: machine and versions, for the results file.
        results: file to write after each stage.
        total_seconds: that all together may take; what is left bounds each stage.
    """
    started, outcomes = time.monotonic(), list[Outcome]()
    for stage in stages:
        left = total_seconds - (time.monotonic() - started)
        print(f"{stage.title} ...", flush=True)
        outcome = run_stage(stage, make_command, read_findings, min(stage.seconds, left))
        outcomes.append(outcome)
        print(f"{stage.title}: {outcome.status}, {outcome.seconds:.1f} s", flush=True)
        for fault in outcome.findings.get("faults", []):
            print(f"  {fault}", flush=True)
        if outcome.log:
            print(outcome.log, flush=True)
        found = {outcome.stage.name: outcome for outcome in outcomes}
        write_json({"about": about, "passed": has_passed(outcomes, stages), **found}, results)
    return outcomes


def run_stage(
    stage: Stage,
    make_command: Command,
    read_findings: Callable[[Stage], Mapping[str, Any]],
    seconds: float,
) -> Outcome:
    """Runs one stage; after its time, its process and all that it started are killed."""
    if seconds <= 0:
        return Outcome(stage, OVER_BUDGET, 0.0, {"faults": ["no time was left for it"]})
    started = time.monotonic()
    process = subprocess.Popen(
        make_command(stage, seconds),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        log, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        log = kill_tree(process)
        status = OVER_BUDGET
    else:
        status = FAILED if process.returncode else PASSED
    elapsed = time.monotonic() - started
    findings = read_findings(stage)
    if findings.get("faults") or not findings:
        status = FAILED if status == PASSED else status
    log = "" if status == PASSED else log[-LOG_CHARACTERS:]
    return Outcome(stage, status, elapsed, findings, log)


def kill_tree(process: subprocess.Popen[str]) -> str:
    """Kills a process and all below it, servers too; what it had printed."""
    for pid in list_tree(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    log, _ = process.communicate()
    return log


def has_passed(outcomes: Sequence[Outcome], stages: Sequence[Stage]) -> bool:
    """Whether all stages have been run and passed."""
    passed = [outcome for outcome in outcomes if outcome.status == PASSED]
    return len(passed) == len(stages)


def make_table(outcomes: Sequence[Outcome]) -> str:
    rows = [
        (
            outcome.stage.title,
            outcome.status,
            f"{outcome.seconds:.1f} of {outcome.stage.seconds:g}",
            outcome.findings.get("headline", ""),
        )
        for outcome in outcomes
    ]
    return format_table(("stage", "status", "seconds", "figures"), rows)


def python_command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]
