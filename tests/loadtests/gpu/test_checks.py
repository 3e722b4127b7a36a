"""What the stages of `gpu-check` call a fault."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.graphs.placement import find_host_nodes
from loadtests.gpu.checks import compare_models, judge_parity, judge_placement
from loadtests.gpu.trial import list_precisions
from service.engine.batch import Result, TokenSequence
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.repository.loader import load_model
from service.repository.manifest import Role, read_manifest
from service.repository.model import LoadedModel
from service.repository.versions import find_versions

CPU = Device("cpu")
Answers = list[tuple[TokenSequence, Result]]


class Mistaken:
    """A runner whose answers something happens to."""

    def __init__(self, model: LoadedModel, mistake: Callable[[Answers], Answers]) -> None:
        self._runner, self._mistake = model.runner, mistake
        self.batch_seconds = 0.0

    @property
    def free_rows(self) -> int:
        return self._runner.free_rows

    @property
    def num_running(self) -> int:
        return self._runner.num_running

    def step(self, arrivals: list[TokenSequence]) -> Answers:
        return self._mistake(self._runner.step(arrivals))

    def reset(self) -> None:
        self._runner.reset()


def find_version(prepared: Path, task: str) -> Path:
    return next(
        folder
        for folder in find_versions(prepared / "models")
        if read_manifest(folder).task == task
    )


def compare(folder: Path, mistake: Callable[[Answers], Answers]) -> list[str]:
    reference = load_model(folder, CPU, precision="fp32")
    tested = replace(reference, runners=[Mistaken(load_model(folder, CPU), mistake)])
    return judge_parity("tiny", compare_models(tested, reference, 0.0, 5), 0.9)


def shift(answers: Answers) -> Answers:
    """Each text gets the answer of the row before: padding or lengths mixed up."""
    results = [result for _, result in answers]
    moved = [*results[-1:], *results[:-1]]
    return [(sequence, result) for (sequence, _), result in zip(answers, moved, strict=True)]


def spoil(answers: Answers) -> Answers:
    return [(sequence, np.full_like(result, np.nan)) for sequence, result in answers]


@pytest.mark.parametrize("task", ["classification", "translation"])
def test_equal_answers_are_no_fault(task: str, prepared: Path) -> None:
    assert compare(find_version(prepared, task), lambda answers: answers) == []


@pytest.mark.parametrize("task", ["classification", "translation"])
def test_answers_of_other_rows_are_faults(task: str, prepared: Path) -> None:
    faults = compare(find_version(prepared, task), shift)
    assert any("the CPU's" in fault for fault in faults)


def test_scores_that_are_not_numbers_are_a_fault(prepared: Path) -> None:
    faults = compare(find_version(prepared, "classification"), spoil)
    assert any("differs by inf" in fault for fault in faults)


def open_placed(prepared: Path, task: str, role: Role) -> tuple[onnx.ModelProto, OnnxSession]:
    folder = find_version(prepared, task)
    path = folder / read_manifest(folder).graph(role, "fp32").file
    session = OnnxSession(path, CPU, notes_placement=True)
    return onnx.load(path, load_external_data=False), session


def test_placement_is_that_of_every_node(prepared: Path) -> None:
    _, session = open_placed(prepared, "classification", "classifier")
    assert set(session.placement.values()) == {"CPUExecutionProvider"}
    assert any(name.startswith("GRU") for name in session.placement)


def test_node_on_the_cpu_is_a_fault_unless_it_computes_shapes(prepared: Path) -> None:
    model, session = open_placed(prepared, "translation", "decoder")
    lstm = next(name for name in session.placement if name.startswith("LSTM"))
    of_shapes = find_host_nodes(model) & session.placement.keys()
    assert of_shapes
    assert judge_placement("tiny", model, sorted(of_shapes)) == []
    (fault,) = judge_placement("tiny", model, [lstm, *of_shapes])
    assert fault == f"tiny: {lstm} runs on the CPU, though the table has a kernel for it"


def test_precisions_are_those_of_a_gpu(prepared: Path) -> None:
    manifest = read_manifest(find_version(prepared, "translation"))
    assert set(list_precisions(manifest)) == {"fp16", "fp32", "w8"}
