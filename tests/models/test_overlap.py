from pathlib import Path

import pytest

from models.overlap import main
from tests.models.training.tasks.test_task import write_rows

CONFIG = """
name = "tiny"
task = "translation"
languages = ["en", "{language}"]

[[sources]]
path = "{path}"
licence = "CC0-1.0"
commercial_use = true
valid = ""
"""


def check(folder: Path, *sources: tuple[str, str]) -> None:
    """Runs the command on a configuration per (path, second language)."""
    paths = []
    for path, language in sources:
        paths.append(folder / f"{path}-{language}.toml")
        paths[-1].write_text(CONFIG.format(path=path, language=language), encoding="utf-8")
    main(["--data", str(folder), "--config", *map(str, paths)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two sets, of which `b` has a test row that is in the training rows of `a`."""
    write_rows(tmp_path / "a", "train.tsv", "one\t하나", "It is TWO!\t둘이야")
    write_rows(tmp_path / "a", "test.tsv", "three\t셋")
    write_rows(tmp_path / "b", "train.tsv", "four\t넷")
    write_rows(tmp_path / "b", "test.tsv", "it is two\t둘이다")
    return tmp_path


def test_overlap_between_configurations_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        check(folder, ("a", "ko"), ("b", "ko"))

    assert stopped.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        "a: 1 of 2 training rows, 1 in b test",
        "held-out rows: 1, in 1 of 2 training sets",
    ]


@pytest.mark.parametrize("sources", [[("a", "ko")], [("a", "ko"), ("b", "de")]])
def test_sets_without_overlap_pass(
    folder: Path, sources: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    check(folder, *sources)

    assert capsys.readouterr().out.startswith("held-out rows: 0, in 0 of ")


def test_missing_rows_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a" / "test.tsv").unlink()

    check(folder, ("a", "ko"), ("c", "ko"))

    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [
        f"{name}: no such rows, not compared" for name in ("a test", "c test", "c train")
    ]


def test_faulty_rows_are_an_error(folder: Path) -> None:
    write_rows(folder / "a", "train.tsv", "no translation")

    with pytest.raises(SystemExit, match=r"models\.overlap: .*train\.tsv, line 1: expected two"):
        check(folder, ("a", "ko"))
