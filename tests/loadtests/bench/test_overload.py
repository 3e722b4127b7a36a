import json
import os
from pathlib import Path

import pytest

from loadtests.bench import overload
from loadtests.bench.contestants.servers import ours_name
from loadtests.bench.overload import TRANSLATOR, WORKLOADS, describe_watch, main, parse_arguments
from loadtests.bench.overload import ServerWatch as Watch
from loadtests.measuring.processes import Server


def test_everything_is_measured_by_default() -> None:
    assert parse_arguments([]).only == WORKLOADS
    assert TRANSLATOR in WORKLOADS


def test_workload_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse_arguments(["--only", "fp64"])
    assert "invalid choice: 'fp64'" in capsys.readouterr().err


class NoServer(Server):
    """Has no process: the figures of a watch are given."""

    def __init__(self) -> None:
        """Starts nothing."""


def test_processors_are_shared_out_between_server_client_and_others() -> None:
    watch = Watch(
        NoServer(),
        rss_bytes=[100, 300, 200],
        cpu_seconds=[5.0, 10.0, 17.0],
        busy_seconds=[50.0, 60.0, 70.0],
        noted_at=[1.0, 5.0, 11.0],
    )
    found = describe_watch(watch, {"client_cpu_us": 50.0, "num_requests": 100_000, "num_ok": 6000})

    assert found["processors"] == pytest.approx(1.2)
    assert found["client_processors"] == pytest.approx(0.5)
    assert found["other_processors"] == pytest.approx(0.3)
    assert found["good_cpu_us"] == pytest.approx(2000.0)
    assert (found["rss_start_bytes"], found["rss_end_bytes"]) == (100, 200)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ("--apart",)])
def test_command_offers_three_times_the_maximum(
    flags: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if flags and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one processor")
    before = os.sched_getaffinity(0)
    monkeypatch.setattr(overload, "RESULTS", tmp_path)
    name = ours_name("int8")
    main(["--smoke", "--only", name, "--name", "smoke", *flags])

    found = json.loads((tmp_path / "smoke.overload.json").read_text(encoding="utf-8"))
    figures = found["overload"][name]
    assert figures["offered_per_second"] == pytest.approx(
        3 * figures["maximum_per_second"], rel=0.2
    )
    assert figures["statuses"].get("200")
    assert found["goals"]
    assert os.sched_getaffinity(0) == before
    assert "share at equal processors" in capsys.readouterr().out
