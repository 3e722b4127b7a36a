"""Versions with w8 alone get fp32 and fp16, without the run that they come from."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from export.__main__ import main
from export.graphs.placement import find_misplaced
from export.more_precisions import add_precisions, fold_constants, read_decoder
from export.publish import build_graphs, export_run
from service.arrays import Array
from service.engine.batch import Generation
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device
from service.engine.slots.translator import SlotTranslatorRunner
from service.errors import ArtefactError
from service.repository.loader import load_model
from service.repository.manifest import SLOT_ROLES, read_manifest
from service.repository.model import LoadedModel, make_sequences
from tests.export.conftest import FolderMaker, RunMaker

CPU = Device("cpu")
TEXTS = ["a man is riding", "two dogs", "a", "the children are playing in the snow"]
MODELS = [
    ("classification", "gru"),
    ("translation", "lstm"),
    ("translation", "gru"),
    ("translation", "rnn"),
    ("language", "lstm"),
    ("text2text", "lstm"),
    ("stream-tagging", "lstm"),
]


def answer(model: LoadedModel) -> list[Array | list[int]]:
    """Comparable answers to all texts."""
    is_translator = model.manifest.task == "translation"
    target = model.manifest.pairs[0][1] if is_translator else None
    sequences = make_sequences(model, TEXTS, target)
    if model.manifest.condition:
        for sequence in sequences:
            sequence.features = model.manifest.condition.encode("positive")
    found: list[Array | list[int]] = []
    for result in run_sequences(model.runner, sequences):
        if isinstance(result, Generation):
            found.append(result.token_ids)
        elif isinstance(result, list):
            found.append(result[0].token_ids)
        else:
            found.append(result)
    return found


def make_w8(tiny_run: FolderMaker, task: str, cell: str, folder: Path) -> Path:
    return export_run(tiny_run(task, cell), folder / "own", ["w8"])


@pytest.mark.parametrize(("task", "cell"), MODELS)
def test_answers_are_those_of_w8(
    task: str, cell: str, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    source = make_w8(tiny_run, task, cell, tmp_path)
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    target = add_precisions(source, tmp_path / "more", ["fp32", "fp16"])
    assert read_manifest(target).precisions == ("w8", "fp32", "fp16")
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before
    w8, fp32, fp16 = (
        answer(load_model(target, CPU, precision=precision)) for precision in ("w8", "fp32", "fp16")
    )
    for one, other, half in zip(w8, fp32, fp16, strict=True):
        assert len(one) == len(other)
        assert np.allclose(np.array(one), np.array(other), atol=1e-4)
        if isinstance(half, np.ndarray):
            assert np.allclose(np.array(one), half, atol=3e-2)


def test_translator_in_float16_decodes_in_slots(tiny_run: FolderMaker, tmp_path: Path) -> None:
    source = make_w8(tiny_run, "translation", "lstm", tmp_path)
    target = add_precisions(source, tmp_path / "more", ["fp16"])
    roles = {graph.role for graph in read_manifest(target).graphs if graph.precision == "fp16"}
    assert roles >= set(SLOT_ROLES)
    in_slots = load_model(target, CPU, precision="fp16", slots="always")
    assert isinstance(in_slots.runner, SlotTranslatorRunner)
    assert answer(in_slots) == answer(load_model(target, CPU, precision="w8"))


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_weights_of_the_decoder_are_the_runs(cell: str, random_run: RunMaker) -> None:
    run = random_run("translation", cell)
    found = read_decoder(build_graphs(run, "w8")["decoder"], cell)
    for name, array in found.items():
        trained = run.model.state_dict()[name].numpy()
        if name == "output_bias":
            allowed = np.ones(len(trained), np.bool_)
            allowed[list(run.forbidden_ids)] = False
            assert np.array_equal(array[allowed], trained[allowed])
        else:
            assert array.shape == trained.shape, name
            assert np.abs(array - trained).max() <= np.abs(trained).max() / 100, name


def test_nothing_that_depends_on_weights_alone_is_left(random_run: RunMaker) -> None:
    graph = build_graphs(random_run("translation", "gru"), "w8")["decoder"]
    folded = fold_constants(graph)
    constants = {tensor.name for tensor in folded.graph.initializer}
    assert not any(set(node.input) <= constants for node in folded.graph.node)
    assert find_misplaced(folded) == []
    onnx.checker.check_model(folded, full_check=True)


def test_version_without_w8_is_refused(tiny_run: FolderMaker, tmp_path: Path) -> None:
    source = export_run(tiny_run("classification", "gru"), tmp_path, ["fp32"])
    with pytest.raises(ArtefactError, match="no w8 graphs"):
        add_precisions(source, tmp_path / "more", ["fp16"])
    assert not (tmp_path / "more").exists()


def test_version_that_is_there_stays(
    tiny_run: FolderMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_w8(tiny_run, "classification", "gru", tmp_path)
    arguments = ["precisions", "--version-dir", str(source), "--repository", str(tmp_path / "more")]
    main(arguments)
    assert "wrote" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="exists; remove it or choose another"):
        main(arguments)
