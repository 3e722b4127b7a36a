import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadtests.load.run import NUM_STEPS, CpuSamples, complete_slo, hide_key, parse_arguments
from loadtests.measuring.places import RESULTS, ROOT


class FakeServer:
    """There is one; what it took is written into the samples."""


def test_processors_of_a_step_are_read_between_its_ends() -> None:
    samples = CpuSamples(FakeServer())  # type: ignore[arg-type]
    samples.times = [100.0, 110.0, 120.0]
    samples.servers = [0.0, 5.0, 20.0]
    samples.clients = [0.0, 1.0, 2.0]
    samples.machines = [0.0, 9.0, 27.0]
    step: dict[str, Any] = {"start": 5.0, "end": 15.0, "throughput": 50.0}
    samples.mark(step, 100.0)

    assert step["server_cpus"] == pytest.approx((12.5 - 2.5) / 10)
    assert step["client_cpus"] == pytest.approx(0.1)
    assert step["other_cpus"] == pytest.approx((18.0 - 4.5) / 10 - 1.0 - 0.1)
    assert step["cpu_ms"] == pytest.approx(20.0)
    assert step["per_core"] == pytest.approx(50.0)


def test_step_without_answers_has_no_cost() -> None:
    samples = CpuSamples(FakeServer())  # type: ignore[arg-type]
    samples.times = [0.0, 9.0]
    samples.servers = samples.clients = samples.machines = [0.0, 0.0]
    step: dict[str, Any] = {"start": 0.0, "end": 9.0, "throughput": 0.0}
    samples.mark(step, 0.0)

    assert (step["cpu_ms"], step["per_core"]) == (None, None)


def test_server_elsewhere_has_no_processors() -> None:
    samples, step = CpuSamples(None), {"start": 0.0, "end": 1.0, "throughput": 1.0}
    samples.take(1)
    samples.mark(step, 0.0)

    assert "server_cpus" not in step


def test_objectives_count_up_to_a_share_of_the_maximum_unless_they_say() -> None:
    assert complete_slo("p99=1s", 200.0) == "p99=1s,load=120"
    assert complete_slo("p99=1s,load=50", 200.0) == "p99=1s,load=50"


def test_help_is_given(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["program", "--help"])

    with pytest.raises(SystemExit, match="0"):
        parse_arguments()

    assert "--name" in capsys.readouterr().out


def test_key_is_not_written_down() -> None:
    arguments = ["--api-key", "secret", "--api-key=secret", "--seconds", "9"]

    assert hide_key(arguments) == ["--api-key", "...", "--api-key=...", "--seconds", "9"]


@pytest.mark.slow
def test_whole_run_starts_a_service_and_writes_its_report(tmp_path: Path) -> None:
    name = f"test-{tmp_path.name}"
    command = [sys.executable, "-m", "loadtests.load.run", "--seconds", "30", "--mix", "document=1"]
    done = subprocess.run(
        [*command, "--name", name, "--slo", "p99=1h,errors=100%"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    written = {path.suffix: path for path in RESULTS.glob(f"{name}.*")}
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert set(written) == {".json", ".html", ".png"}
        assert written[".json"].name == f"{name}.load.json", "the benchmark writes NAME.json"
        found = json.loads(written[".json"].read_text(encoding="utf-8"))
        assert len(found["steps"]) == NUM_STEPS
        assert all(step["server_cpus"] > 0 for step in found["steps"])
        assert found["costs"]["document"]["cpu_ms"] > 0
        assert "requests per second at most" in done.stdout
    finally:
        for path in written.values():
            path.unlink()
