from pathlib import Path

import pytest
import torch

from models.mix import main
from models.training.runs import read_run
from tests.export.conftest import FolderMaker


def test_weights_lie_between_those_of_the_runs(tiny_run: FolderMaker, tmp_path: Path) -> None:
    first, second = copy_run(tiny_run, tmp_path / "first"), tiny_run("classification", "gru")
    weights = torch.load(first / "best.pt", weights_only=True)
    torch.save({name: tensor + 1.0 for name, tensor in weights.items()}, first / "best.pt")

    main(["--runs", str(first), str(second), "--share", "0.25", "--out", str(tmp_path / "out")])

    mixed = read_run(tmp_path / "out").model.state_dict()
    assert mixed.keys() == weights.keys()
    for name, tensor in weights.items():
        torch.testing.assert_close(mixed[name], tensor + 0.75)


@pytest.mark.parametrize(
    ("task", "share", "message"),
    [
        ("classification", "1.5", "1.5 is not between 0 and 1"),
        ("translation", "0.5", "different voc"),
    ],
)
def test_what_cannot_be_mixed_is_refused(
    task: str, share: str, message: str, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    runs = [str(tiny_run(task, "gru")), str(tiny_run("classification", "gru"))]

    with pytest.raises(SystemExit, match=message):
        main(["--runs", *runs, "--share", share, "--out", str(tmp_path / "out")])

    assert not (tmp_path / "out").exists()


def copy_run(tiny_run: FolderMaker, folder: Path) -> Path:
    folder.mkdir()
    for path in tiny_run("classification", "gru").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder
