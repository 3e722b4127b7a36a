from pathlib import Path

import pytest

from loadtests.bench.contestants.lineup import require_python
from loadtests.bench.contestants.servers import LITSERVE, TORCHSERVE, start_torchserve
from loadtests.bench.workloads.shape_model import ShapeModel


def test_a_peer_without_an_environment_is_left_out_with_a_word(tmp_path: Path) -> None:
    pythons = {LITSERVE: tmp_path}
    assert require_python(LITSERVE, pythons) == tmp_path
    with pytest.raises(RuntimeError, match="--torchserve names no environment with it"):
        require_python(TORCHSERVE, pythons)


def test_torchserve_needs_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    shape = ShapeModel(tmp_path, tmp_path, "fp32")
    with pytest.raises(RuntimeError, match="Java 17 is needed"):
        start_torchserve(tmp_path / "python", shape, tmp_path)
