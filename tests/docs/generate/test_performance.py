import json
from pathlib import Path
from typing import Any

import pytest

from docs.generate.performance import (
    BENCH,
    HTTP,
    LOAD,
    OVERLOAD,
    PEER,
    describe_goals,
    describe_http,
    describe_load,
)

ABOUT = {"num_cpus": 2, "cpu_model": "CPU", "date": "2026-01-02T03:04:05", "commit": "abc"}
LEVEL = {
    **{"requests_per_second": 900.0, "p50_ms": 1.0, "p99_ms": 2.0, "cpu_us": 500.0},
    **{"connections": [17, 15], "other_cpus": 0.25},
}
STEP = {
    **{"offered": 210.0, "throughput": 200.0, "errors": 0.0, "server_cpus": 1.6, "cpu_ms": 8.0},
    "client_cpus": 0.1,
    "times": {"latency": {"p50": 10.0, "p99": 20.0}, "queue": {"mean": 3.0}},
}


def write_results(root: Path, path: str, results: dict[str, Any]) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(json.dumps({"about": ABOUT, **results}), encoding="utf-8")


def test_a_table_names_the_file_the_commit_and_the_machine(tmp_path: Path) -> None:
    summary = {"seqserve fp32": {"32": LEVEL, "128": LEVEL | {"other_cpus": 0.5}}}
    write_results(tmp_path, HTTP, {"http": {"summary": summary}})

    described = describe_http(tmp_path)

    assert "| seqserve fp32 | 900 | 900 | 500 | 500 | 17/15 |" in described
    assert f"`{HTTP}`, 2026-01-02, commit `abc`, 2 CPUs (CPU)" in described
    assert described.endswith("Other programs took up to 0.50 of the CPUs meanwhile.")


def test_goals_of_all_files_are_counted_and_shown_once(tmp_path: Path) -> None:
    missed = {"title": "ratio", "value": 1.5, "goal": 2.0, "is_floor": True, "is_met": False}
    met = {"title": "wait", "value": 7.0, "goal": 9.0, "is_floor": False, "is_met": True}
    write_results(tmp_path, HTTP, {"goals": [missed]})
    write_results(tmp_path, OVERLOAD, {"goals": [met]})
    write_results(tmp_path, PEER, {"goals": []})
    write_results(tmp_path, BENCH, {"goals": [{**missed, "value": 3.0, "is_met": True}]})

    described = describe_goals(tmp_path)

    assert described.startswith("1 of 2 goals are met.")
    assert described.count("| ratio |") == 1
    assert "| ratio | 1.5 | at least 2 | no | reference.http.json |" in described
    assert "| wait | 7 | at most 9 | yes | reference.overload.json |" in described


def test_the_knee_is_marked_and_divided_by_its_cores(tmp_path: Path) -> None:
    write_results(tmp_path, LOAD, {"steps": [STEP, STEP], "knee": 1})

    described = describe_load(tmp_path)

    assert described.count("| knee |") == 1
    assert "200 requests per second with 1.60 CPUs, 125 per core." in described


@pytest.mark.parametrize("missing", ["server_cpus", "client_cpus", "cpu_ms"])
def test_a_load_test_of_a_remote_server_knows_no_processors(tmp_path: Path, missing: str) -> None:
    step = {key: value for key, value in STEP.items() if key != missing}
    write_results(tmp_path, LOAD, {"steps": [step], "knee": None})

    assert "| - |" in describe_load(tmp_path)
