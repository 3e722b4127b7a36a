import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.bench.contestants.lineup import PEERS
from loadtests.bench.contestants.servers import FLOOR, PLAIN, ours_name
from loadtests.bench.overload import WORKLOADS
from loadtests.bench.parts.translation import CONTINUOUS, STATIC, STATIC_DROPPING
from loadtests.bench.plan import PARTS, WITH_WRK, BenchPlan
from loadtests.bench.run import (
    CTRANSLATE2,
    PEER_NAMES,
    find_missing,
    find_skipped,
    parse_arguments,
)
from loadtests.measuring.places import MODELS_DIR, RESULTS, ROOT
from service.repository.versions import newest_version


def test_help_is_given(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["program", "--help"])

    with pytest.raises(SystemExit, match="0"):
        parse_arguments()

    assert "--smoke" in capsys.readouterr().out


def test_smoke_does_without_wrk_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    plan = BenchPlan(PARTS)
    skipped = find_skipped(plan)

    assert tuple(skipped) == WITH_WRK
    left = ("engine", "decoder", "peer", "overload", "translation", "generation")
    assert plan.leave_out(skipped).parts == left
    assert "open is skipped: error: wrk is needed" in capsys.readouterr().out


def test_without_ctranslate2_its_part_is_left_out_with_a_word(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = BenchPlan(("decoder", "peer"))

    assert plan.leave_out(find_missing(plan, {})).parts == ("decoder",)
    assert "peer is skipped: no environment with CTranslate2" in capsys.readouterr().out
    assert find_missing(plan, {CTRANSLATE2: Path(sys.executable)}) == {}


@pytest.mark.slow
def test_every_part_runs_and_is_in_the_results(tmp_path: Path) -> None:
    name = f"smoke-{tmp_path.name}"
    command = [sys.executable, "-m", "loadtests.bench.run", "--smoke", "--name", name]
    for peer in PEER_NAMES:  # `make bench-peers` makes their environments
        python = Path(sys.prefix) / peer.lower() / "bin" / "python"
        if (python.parents[1] / ".ready").exists():
            command += [f"--{peer.lower()}", str(python)]
    # not captured: the parts that are skipped are told on the terminal
    done = subprocess.run(command, cwd=ROOT, timeout=600, check=False)
    written = {path.suffix: path for path in RESULTS.glob(f"{name}.*")}
    try:
        assert done.returncode == 0
        assert set(written) == {".json", ".png"}
        found = json.loads(written[".json"].read_text(encoding="utf-8"))
    finally:
        for path in written.values():
            path.unlink()

    assert set(found) == {*PARTS, "about", "goals"} - set(found["about"]["skipped"])
    version = newest_version(MODELS_DIR, "translation-en-de").name
    assert found["decoder"]["model_version"] == found["translation"]["model_version"] == version
    for servers in found["translation"]["summary"].values():
        assert list(servers) == [CONTINUOUS, STATIC, STATIC_DROPPING]
        assert all(each["num_failures"] == 0 for each in servers.values())
    assert tuple(found["overload"]) == WORKLOADS
    assert all(each["statuses"].get("200") for each in found["overload"].values())
    if shutil.which("wrk"):
        ours = {ours_name("fp32"), ours_name("int8")}
        peers = set(PEERS) - set(found["about"]["left_out"])
        assert set(found["http"]["summary"]) == {FLOOR, PLAIN} | peers | ours
        assert set(found["open"]["summary"]) == {PLAIN} | peers | ours
        for turns in found["http"]["summary"].values():
            assert all(each["num_failures"] == 0 for each in turns.values())
            assert all(sum(each["connections"]) == int(level) for level, each in turns.items())
        for part in ("fp32", "int8", "translation"):
            assert set(found["topology"][part]["summary"]) == {"replicas 1", "engine 1"}
