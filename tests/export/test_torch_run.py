import math
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from export.parity.check import ParityError
from export.torch_run import export_run, find_tools
from models.card import CARD
from models.config import RunConfig
from models.train import prepare_run
from models.training.runs import read_run
from models.training.tasks.task import build_model
from models.training.trainer import BEST, LAST
from service.engine.batch import Hypothesis, TokenSequence
from service.engine.runtime.device import Device
from service.errors import ArtefactError
from service.repository.goldens import check_goldens
from service.repository.loader import (
    load_model,
    load_tokenizer,
    make_counter,
    read_lexicons,
)
from service.repository.manifest import MANIFEST, Manifest, Precision, check_files, read_manifest
from service.repository.versions import find_versions
from service.text.lexicon import Lexicon
from tests.export.conftest import FolderMaker, snapshot
from tests.models.tiny_runs import SAMPLES

TASKS = ("classification", "translation", "language")
CELLS = ("lstm", "gru", "rnn")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("cell", CELLS)
def test_version_is_complete_and_passes_its_goldens(
    task: str, cell: str, tiny_version: FolderMaker
) -> None:
    folder = tiny_version(task, cell)
    manifest = read_manifest(folder)
    check_files(manifest, folder)
    assert len(manifest.goldens) == {"classification": 2, "translation": 4, "language": 4}[task]
    assert {row.precision for row in manifest.parity} == {"fp32", "int8", "w8"}
    for precision in manifest.precisions:
        check_goldens(load_model(folder, Device("cpu"), precision=precision))


def test_manifest_is_read_back_as_written(tiny_version: FolderMaker) -> None:
    folder = tiny_version("translation", "lstm")
    manifest = read_manifest(folder)
    again = Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    assert again == manifest == Manifest.model_validate_json(manifest.model_dump_json())


def test_every_file_but_manifest_and_card_is_listed(tiny_version: FolderMaker) -> None:
    folder = tiny_version("translation", "gru")
    listed = {entry.name for entry in read_manifest(folder).files}
    assert {path.name for path in folder.iterdir()} - listed == {MANIFEST, CARD}


def test_manifest_describes_the_run(tiny_version: FolderMaker) -> None:
    manifest = read_manifest(tiny_version("translation", "gru"))
    assert (manifest.task, manifest.cell, manifest.version) == ("translation", "gru", "1")
    assert manifest.pairs == (("en", "ko"), ("ko", "en"))
    assert set(manifest.ids.start_ids) == {"en", "ko"}
    assert [source.licence for source in manifest.sources] == ["CC BY 2.0 FR"]
    assert manifest.num_parameters is not None
    assert set(manifest.tools) >= {"torch", "onnx", "tokenizers"}


def test_translator_knows_the_words_of_its_data_by_language(
    tiny_run: FolderMaker, tmp_path: Path
) -> None:
    folder = export_run(tiny_run("translation", "lstm"), tmp_path, ["fp32"], data=SAMPLES)
    manifest = read_manifest(folder)
    assert manifest.lexicons == {"en": "words.en.bin", "ko": "words.ko.bin"}
    lexicon = Lexicon((folder / "words.en.bin").read_bytes())
    assert "the" in lexicon
    assert "kossch" not in lexicon
    tokenizer = load_tokenizer(folder, manifest)
    count_unknown = make_counter(read_lexicons(folder, manifest), tokenizer)
    found = Hypothesis(tokenizer.encode("the Kossch is Tom"), -1.0)
    counts = {}
    for language, start_id in manifest.ids.start_ids.items():
        source = TokenSequence(tokenizer.encode("Tom"), 0.0, math.inf, start_id=start_id)
        counts[language] = count_unknown(source, found)

    assert counts == {"en": 1, "ko": 3}


def test_installed_runtime_is_named() -> None:
    assert any(tool.startswith("onnxruntime") for tool in find_tools())


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_int8_and_w8_share_their_weights_at_a_quarter_of_float32(
    cell: str, tiny_config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    run_folder = make_larger_run(tiny_config("translation", cell), tmp_path / "run")
    kinds: list[list[Precision]] = [["fp32"], ["int8"], ["w8"], ["int8", "w8"]]
    sizes = [
        (export_run(run_folder, tmp_path / "r", kind) / "weights.bin").stat().st_size
        for kind in kinds
    ]
    full, int8, w8, both = sizes
    assert 0.24 < int8 / full < 0.30
    assert 0.24 < w8 / full < 0.30
    assert both < 1.02 * max(int8, w8)


def make_larger_run(config: RunConfig, folder: Path) -> Path:
    """Makes a run whose matrices are larger than its biases."""
    sizes: dict[str, Any] = {
        "embedding_size": 64,
        "encoder_size": 64,
        "decoder_size": 96,
        "attention_size": 64,
    }
    config, _ = prepare_run(replace(config, model=replace(config.model, **sizes)), folder, SAMPLES)
    torch.save(build_model(config).state_dict(), folder / BEST)
    return folder


def test_exporting_again_creates_the_next_version(tiny_run: FolderMaker, tmp_path: Path) -> None:
    run_folder = tiny_run("classification", "gru")
    folders = [export_run(run_folder, tmp_path, ["w8"], name="mine") for _ in range(2)]
    assert [folder.relative_to(tmp_path).as_posix() for folder in folders] == ["mine/1", "mine/2"]
    assert find_versions(tmp_path) == [folders[1]]


def test_same_run_gives_the_same_bytes(tiny_run: FolderMaker, tmp_path: Path) -> None:
    first, second = (
        snapshot(export_run(tiny_run("classification", "lstm"), tmp_path / place, ["int8"]))
        for place in "ab"
    )
    assert first == second


def test_existing_version_is_not_changed(tiny_run: FolderMaker, tmp_path: Path) -> None:
    run_folder = tiny_run("classification", "gru")
    export_run(run_folder, tmp_path, ["w8"])
    before = snapshot(tmp_path)
    with pytest.raises(FileExistsError, match="exists; remove it or choose another version"):
        export_run(run_folder, tmp_path, ["w8"], version="1")
    assert snapshot(tmp_path) == before


@pytest.fixture
def broken_run(tiny_run: FolderMaker, tmp_path: Path) -> Path:
    """Makes a run with a NaN weight: torch and graph cannot agree."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_run("classification", "gru"), folder)
    weights = torch.load(folder / BEST, weights_only=True)
    weights["output.bias"][0] = torch.nan
    torch.save(weights, folder / BEST)
    return folder


def test_failed_parity_does_not_change_the_repository(
    broken_run: Path, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    export_run(tiny_run("classification", "gru"), repository, ["w8"])
    before = snapshot(repository)
    with pytest.raises(ParityError):
        export_run(broken_run, repository, ["fp32", "w8"])
    assert snapshot(repository) == before
    assert [path.name for path in repository.iterdir()] == ["tiny-classification-gru"]


def export_in_process(run_folder: Path, repository: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "export", "torch", "--run", str(run_folder)]
    return subprocess.Popen(
        [*command, "--repository", str(repository), *more],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_kill_during_export_leaves_no_version(
    stop: signal.Signals, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    run_folder, repository = tiny_run("translation", "gru"), tmp_path / "repository"
    process = export_in_process(run_folder, repository, "--precisions", "fp32", "w8", "int8")
    wait_for(lambda: bool(list(repository.glob(".partial-*/*/1/*.onnx"))) or has_ended(process))
    process.send_signal(stop)
    process.communicate(timeout=60)
    assert process.returncode != 0
    with pytest.raises(ArtefactError, match="holds no model"):
        find_versions(repository)
    left = [path.name for path in repository.iterdir()]
    # nothing can clean up after a SIGKILL; the remains are hidden and never served
    assert all(name.startswith(".partial-") for name in left)
    assert not left or stop == signal.SIGKILL
    assert export_run(run_folder, repository, ["w8"]).name == "1"


def wait_for(is_true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def has_ended(process: subprocess.Popen[str]) -> bool:
    return process.poll() is not None


def test_run_without_an_epoch_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="train at least one epoch"):
        read_run(tmp_path)


def test_minutes_come_from_the_last_checkpoint(tiny_run: FolderMaker, tmp_path: Path) -> None:
    shutil.copytree(tiny_run("classification", "gru"), tmp_path, dirs_exist_ok=True)
    torch.save({"progress": {"seconds": 90.0}}, tmp_path / LAST)
    assert read_run(tmp_path).minutes == 1.5
    (tmp_path / LAST).unlink()  # the best weights are enough to export
    assert read_run(tmp_path).minutes is None


@pytest.mark.parametrize("precisions", [["w8"], ["fp32"], ["int8"]])
def test_float32_parity_is_always_checked(
    precisions: Sequence[Precision], tiny_run: FolderMaker, tmp_path: Path
) -> None:
    folder = export_run(tiny_run("classification", "rnn"), tmp_path, precisions)
    manifest = read_manifest(folder)
    assert [row.precision for row in manifest.parity] == list(dict.fromkeys(["fp32", *precisions]))
    assert manifest.precisions == tuple(precisions)


def test_second_default_classifier_of_a_language_is_not_written(
    tiny_run: FolderMaker, tmp_path: Path
) -> None:
    run_folder = tiny_run("classification", "gru")
    export_run(run_folder, tmp_path, ["w8"], name="first")

    with pytest.raises(ArtefactError, match="first and second both answer by default for the lang"):
        export_run(run_folder, tmp_path, ["w8"], name="second")
    folder = export_run(run_folder, tmp_path, ["w8"], name="second", only_when_named=True)

    assert not read_manifest(folder).answers_by_default
    assert export_run(run_folder, tmp_path, ["w8"], name="first").name == "2"
