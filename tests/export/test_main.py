import shutil
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from export.__main__ import main
from models.card import CARD, CURVES
from models.training.trainer import HISTORY
from service.repository.manifest import read_manifest
from tests.export.conftest import FolderMaker
from tests.export.test_wrap import LABELS, build_graph, build_tokenizer
from tests.signals import usual_signals


@pytest.fixture(autouse=True)
def keep_signals() -> Iterator[None]:
    """Restores the SIGTERM handler of the test process, which `main` replaces."""
    with usual_signals():
        yield


def test_run_becomes_a_measured_version(
    samples: Path, tiny_run: FolderMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data" / "nsmc"
    data.mkdir(parents=True)
    lines = (samples / "nsmc" / "test.tsv").read_text(encoding="utf-8").splitlines()[:5]
    for split in ("valid", "test"):
        (data / f"{split}.tsv").write_text("\n".join(lines), encoding="utf-8")
    run_folder, repository = tiny_run("classification", "gru"), tmp_path / "repository"
    places = ["--run", str(run_folder), "--repository", str(repository), "--data", str(data.parent)]
    main(["torch", *places, "--name", "mine", "--version", "3", "--precisions", "w8", "w8"])
    folder = repository / "mine" / "3"
    assert capsys.readouterr().out.splitlines()[-1] == f"wrote {folder}"
    assert read_manifest(folder).precisions == ("w8",)
    assert "| nsmc test |" in (folder / CARD).read_text(encoding="utf-8")


def test_version_is_measured_again(
    samples: Path, tiny_version: FolderMaker, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny-classification-rnn" / "1"
    shutil.copytree(tiny_version("classification", "rnn"), folder)
    run_folder = tmp_path / "run"
    shutil.copytree(tiny_run("classification", "rnn"), run_folder)
    (run_folder / HISTORY).write_text('{"epoch": 1, "loss": 0.7, "score": 50.0}\n', "utf-8")
    places = ["--run", str(run_folder), "--data", str(samples)]
    main(["evaluate", "--version-dir", str(folder), *places])
    card = (folder / CARD).read_text(encoding="utf-8")
    assert "| nsmc test |" in card
    assert f"({CURVES})" in card
    assert (folder / CURVES).exists()


def test_existing_graph_is_wrapped(tmp_path: Path) -> None:
    onnx.save(build_graph(), str(tmp_path / "theirs.onnx"))
    build_tokenizer().save(str(tmp_path / "tokenizer.json"))
    files = ["--graph", str(tmp_path / "theirs.onnx"), "--tokenizer", f"{tmp_path}/tokenizer.json"]
    target = ["--repository", str(tmp_path / "r"), "--name", "wrapped"]
    facts = ["--labels", *LABELS, "--languages", "en", "--max-tokens", "40"]
    main(["wrap", *files, *target, *facts])
    assert read_manifest(tmp_path / "r" / "wrapped" / "1").labels == LABELS


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--name", "../up"], "is not a model name"),
        (["--version", "new"], "is not a positive whole number"),
        (["--data", "absent"], "absent/nsmc holds neither test.tsv"),
    ],
)
def test_error_is_one_sentence_and_writes_nothing(
    arguments: list[str], reason: str, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    command = [
        "torch",
        "--run",
        str(tiny_run("classification", "gru")),
        "--repository",
        str(repository),
    ]
    with pytest.raises(SystemExit, match=r"^export refused: ") as caught:
        main([*command, *arguments])
    assert reason in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not repository.exists()


def test_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="train at least one epoch"):
        main(["torch", "--run", str(tmp_path / "absent"), "--repository", str(tmp_path)])


def test_unknown_precision_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["torch", "--run", "x", "--precisions", "int4"])
    assert "invalid choice: 'int4'" in capsys.readouterr().err
