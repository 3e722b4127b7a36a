import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from export.curves import draw_curves, loss_points, score_lines
from models.card import CARD, CURVES, write_card
from models.training.trainer import HISTORY
from tests.export.conftest import FolderMaker

EPOCHS: list[dict[str, Any]] = [
    {"epoch": 1, "loss": 0.6, "losses": [0.7, 0.5], "score": 80.0, "a accuracy": 80.0},
    {"epoch": 2, "loss": 0.4, "score": 82.0, "a accuracy": 82.0},
]


def write_history(folder: Path, records: Sequence[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(record) + "\n" for record in records)
    (folder / HISTORY).write_text(text, encoding="utf-8")


def test_each_stretch_of_an_epoch_is_a_point() -> None:
    assert loss_points(EPOCHS) == ([0.25, 0.75, 1.5], [0.7, 0.5, 0.4])


def test_each_set_has_a_line() -> None:
    assert score_lines(EPOCHS) == {"a accuracy": ([1.0, 2.0], [80.0, 82.0])}


@pytest.mark.parametrize("num_sets", [0, 5])
def test_score_is_drawn_for_many_sets_and_for_none(num_sets: int) -> None:
    bleu = {f"{number} bleu": 20.0 for number in range(num_sets)}
    assert score_lines([{"epoch": 1, "score": 33.0, **bleu}]) == {"score": ([1.0], [33.0])}


def test_curves_are_drawn_and_shown_on_the_card(tiny_version: FolderMaker, tmp_path: Path) -> None:
    write_history(tmp_path, EPOCHS)
    draw_curves(tmp_path, tmp_path / CURVES)
    assert (tmp_path / CURVES).read_bytes().startswith(b"\x89PNG")

    folder = tmp_path / "tiny-classification-gru" / "1"
    shutil.copytree(tiny_version("classification", "gru"), folder)
    shutil.move(tmp_path / CURVES, folder)
    write_card(folder)
    assert f"({CURVES})" in (folder / CARD).read_text(encoding="utf-8")


def test_run_without_history_has_no_curves(tmp_path: Path) -> None:
    draw_curves(tmp_path, tmp_path / CURVES)
    assert not (tmp_path / CURVES).exists()
