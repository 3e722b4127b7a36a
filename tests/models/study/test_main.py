"""The whole study, with sizes that say nothing but that it runs."""

import json
from pathlib import Path

import pytest

from models.study.__main__ import RESULTS, main
from models.study.networks import CELLS
from models.study.plots import GRADIENTS, RECALL


def test_study_writes_results_and_plots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--quick", "--out", str(tmp_path)])

    results = json.loads((tmp_path / RESULTS).read_text(encoding="utf-8"))
    assert [row["cell"] for row in results["language"]] == list(CELLS)
    assert [row["cell"] for row in results["recall"]] == list(CELLS)
    assert len(results["gradients"]) == 2 * len(CELLS)
    assert all(len(row["norms"]) == 8 for row in results["gradients"])
    for plot in (GRADIENTS, RECALL):
        assert (tmp_path / plot).read_bytes().startswith(b"\x89PNG")
    assert "clipping:" in capsys.readouterr().out


def test_text_that_is_too_short_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("hello " * 20)

    with pytest.raises(SystemExit, match=r"the text has 120 characters; it needs 392 or more"):
        main(["--quick", "--out", str(tmp_path), "--text", str(text)])
