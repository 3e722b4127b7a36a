"""Runs the stages of `make gpu-check` or `make gpu-bench`, prints a table, writes a JSON file.

Run it as `python -m loadtests.gpu.run check|bench`, on what `loadtests.gpu.prepare` made. Both
together end within ten minutes, whatever a stage does, and need no network and no torch. The exit
status is 0 if all stages passed, 1 if not.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from loadtests.gpu import checks, measures
from loadtests.gpu.stages import Stage, has_passed, make_table, python_command, run_stages
from loadtests.gpu.trial import Findings, Trial
from loadtests.measuring.machine import describe_machine
from loadtests.measuring.places import RESULTS, ROOT
from loadtests.measuring.tables import write_json
from service.errors import ServingError

MODULE = "loadtests.gpu.run"
PREPARED = ROOT / "build" / "gpu"
# Ten minutes hold both and half a minute for what stands around them.
TOTAL_SECONDS = {"check": 270.0, "bench": 300.0}
# The times are those of a GPU; a rehearsal may share two processors with others.
REHEARSAL_PATIENCE = 4
NUM_FRONT_ENDS = (1, 4, 8)
STAGES: Mapping[str, Sequence[tuple[Stage, Callable[[Trial], Findings]]]] = {
    "check": (
        (Stage("device", "device and versions", 40), checks.check_device),
        (Stage("load", "every model loads, goldens", 70), checks.check_goldens_of_all),
        (Stage("parity", "answers of the CPU", 100), checks.check_parity),
        (Stage("placement", "nodes on the device", 40), checks.check_placement),
        (Stage("slots", "steps captured and replayed", 50), checks.check_slots),
        (Stage("joins", "sentences join and leave", 50), checks.check_joins),
    ),
    "bench": (
        (Stage("steps", "slot decoder alone", 60), measures.measure_steps),
        (Stage("translation", "translation, engine alone", 70), measures.measure_translation),
        (Stage("classification", "classification, engine alone", 45),
         measures.measure_classification),
        (Stage("latency", "one sentence of ten tokens", 25), measures.measure_latency),
        (Stage("http", "requests over HTTP", 90), measures.measure_http),
        (Stage("bleu", "BLEU of fp16", 50), measures.measure_bleu),
    ),
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(argv)
    if arguments.stage:
        return run_alone(arguments)
    name = f"gpu-{arguments.suite}{'-rehearsal' if arguments.rehearse else ''}"
    results = arguments.out / f"{name}.json"
    patience = REHEARSAL_PATIENCE if arguments.rehearse else 1
    stages = [
        replace(stage, seconds=patience * stage.seconds) for stage, _ in STAGES[arguments.suite]
    ]
    with tempfile.TemporaryDirectory() as scratch:

        def make_command(stage: Stage, seconds: float) -> list[str]:
            command = python_command(MODULE, arguments.suite, "--stage", stage.name)
            command += ["--prepared", str(arguments.prepared), "--scratch", scratch]
            command += ["--seconds", f"{seconds:g}"]
            command += ["--front-ends", *map(str, arguments.front_ends)]
            return [*command, *(["--rehearse"] if arguments.rehearse else [])]

        outcomes = run_stages(
            stages,
            make_command,
            lambda stage: read_findings(Path(scratch), stage.name),
            {**describe_machine(), "is_rehearsal": arguments.rehearse},
            results,
            arguments.seconds or patience * TOTAL_SECONDS[arguments.suite],
        )
    if arguments.rehearse:
        print("\nA rehearsal on the CPU, over a fake device: the figures say nothing of a GPU.")
    print(f"\n{make_table(outcomes)}\n\nwrote {results}")
    return 0 if has_passed(outcomes, stages) else 1


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("suite", choices=sorted(STAGES))
    parser.add_argument(
        "--rehearse",
        action="store_true",
        help="on the CPU and over a fake device, the least of all",
    )
    parser.add_argument(
        "--prepared",
        type=Path,
        default=PREPARED,
        help="what loadtests.gpu.prepare wrote (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path(os.environ.get("OUT") or RESULTS),
        help="folder of the results (default: $OUT, else %(default)s)",
    )
    parser.add_argument(
        "--front-ends",
        type=int,
        nargs="+",
        default=list(NUM_FRONT_ENDS),
        help="numbers of HTTP processes to measure with (default: 1 4 8)",
    )
    parser.add_argument(
        "--seconds", type=float, default=0.0, help="that all may take (default: 270, or 300)"
    )
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def run_alone(arguments: argparse.Namespace) -> int:
    """Runs one stage in this process, and writes what it found."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    (run,) = (run for stage, run in STAGES[arguments.suite] if stage.name == arguments.stage)
    trial = Trial(
        arguments.prepared,
        arguments.scratch,
        arguments.seconds,
        is_rehearsal=arguments.rehearse,
        num_front_ends=tuple(arguments.front_ends),
    )
    try:
        findings = run(trial)
    except ServingError as exc:  # others end with their traceback, which the results file keeps
        findings = Findings(faults=[str(exc)])
    file = find_file(arguments.scratch, arguments.stage)
    partial = file.with_suffix(".partial")
    write_json(asdict(findings), partial)
    partial.rename(file)  # a stage may be killed at any time
    return 1 if findings.faults else 0


def find_file(scratch: Path, stage: str) -> Path:
    return scratch / f"{stage}.findings.json"


def read_findings(scratch: Path, stage: str) -> dict[str, Any]:
    path = find_file(scratch, stage)
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


if __name__ == "__main__":
    sys.exit(main())
