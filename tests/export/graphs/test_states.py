"""The graph of the states against the torch model, a token at a time."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from export.__main__ import main
from export.graphs.builder import GraphBuilder, graph_file
from export.graphs.networks import FLOAT
from export.graphs.runs import build_graphs
from export.graphs.states import derive_states
from export.torch_run import export_run
from models.networks.encoder import BidirectionalLayer
from models.training.runs import Run
from service.arrays import Array, FloatArray
from service.engine.hidden_states.states import StatesSession
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.repository.loader import load_model
from service.repository.manifest import READERS, Precision, read_manifest, write_manifest
from tests.export.conftest import FolderMaker, RunMaker

CELLS, VALUES = ("lstm", "gru", "rnn"), ("hidden", "cell")
TASKS = ("classification", "translation", "text2text", "language", "tagging", "stream-tagging")
INPUT_IDS = [5, 9, 311, 42, 9, 100, 7]
FEATURES = (0.0, 1.0)
# Sums are in another order.
EXACT = 2e-6
SHIPPED = Path(__file__).parents[3] / "models" / "repository"


def step_through(
    layer: nn.Module, inputs: Iterable[Tensor], state: tuple[Tensor, ...] | None = None
) -> dict[str, Tensor]:
    """The states (T, H) of a torch layer that is given one token (I) after the other."""
    assert isinstance(layer, nn.RNNBase)
    found = []
    before: Any = state if state is None or len(state) == 2 else state[0]
    for row in inputs:
        _, before = layer(row[None, None], before)
        found.append(before if isinstance(before, tuple) else (before,))
    names = ("hidden", "cell")[: len(found[0])]
    return {
        name: torch.cat([each[place] for each in found])[:, 0] for place, name in enumerate(names)
    }


def name_values(name: str, values: Mapping[str, Tensor]) -> dict[str, FloatArray]:
    return {f"{name}.{value}": array.numpy() for value, array in values.items()}


@torch.inference_mode()
def reference(run: Run, input_ids: list[int]) -> dict[str, FloatArray]:
    """What the torch model holds after each token."""
    model: Any = run.model
    outputs = model.embedding(torch.tensor(input_ids))  # (T, E)
    layers = model.encoder.layers if hasattr(model, "encoder") else model.layers
    first = [None] * len(layers)
    if run.config.task == "language":
        first = model.first_state(1, torch.tensor([FEATURES]))
    found: dict[str, FloatArray] = {}
    for index, layer in enumerate(layers):
        if not isinstance(layer, BidirectionalLayer):
            ahead = step_through(layer, outputs, first[index])
            found |= name_values(str(index), ahead)
            outputs = ahead["hidden"]
            continue
        norms = model.encoder.norms
        inputs = norms[index - 1](outputs) if index and norms else outputs
        ahead = step_through(layer.forward_layer, inputs)
        back = step_through(layer.backward_layer, inputs.flip(0))
        back = {value: array.flip(0) for value, array in back.items()}
        found |= name_values(f"{index}.forward", ahead) | name_values(f"{index}.backward", back)
        new = torch.cat([ahead["hidden"], back["hidden"]], dim=-1)
        outputs = outputs + new if index and run.config.model.residual else new
    return found


def read_states(run: Run, folder: Path, precision: Precision) -> dict[str, FloatArray]:
    """What the graph says, derived from the graph of a precision that reads whole texts."""
    graphs = build_graphs(run, precision)
    derived = derive_states(graphs[READERS[run.config.task]])
    assert derived is not None

    def open_graph() -> OnnxSession:
        path = folder / graph_file("states", precision)
        onnx.save(derived[0], str(path))
        return OnnxSession(path, Device("cpu"))

    conditioner = None
    if "conditioner" in graphs:
        onnx.save(graphs["conditioner"], str(folder / "conditioner.onnx"))
        conditioner = OnnxSession(folder / "conditioner.onnx", Device("cpu"))
    return StatesSession(open_graph, {}, conditioner).read(INPUT_IDS, FEATURES)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", TASKS)
def test_states_are_those_of_torch(
    task: str, cell: str, random_run: RunMaker, tmp_path: Path
) -> None:
    run = random_run(task, cell)
    expected = reference(run, INPUT_IDS)

    found = read_states(run, tmp_path, "fp32")

    assert sorted(found) == sorted(expected)
    for name, values in expected.items():
        assert found[name].shape == values.shape
        np.testing.assert_allclose(found[name], values, atol=EXACT, rtol=EXACT, err_msg=name)


@pytest.mark.parametrize("cell", CELLS)
def test_states_of_int8_are_those_of_its_weights(
    cell: str, random_run: RunMaker, tmp_path: Path
) -> None:
    run = random_run("classification", cell)

    of_levels, of_weights = (read_states(run, tmp_path, name) for name in ("int8", "w8"))

    assert sorted(of_levels) == sorted(of_weights)
    for name, values in of_weights.items():
        np.testing.assert_allclose(of_levels[name], values, atol=EXACT, rtol=EXACT)


def test_exported_version_shows_its_states(tiny_version: FolderMaker) -> None:
    folder = tiny_version("tagging", "lstm")
    manifest = read_manifest(folder)
    model = load_model(folder, Device("cpu"), precision="int8")

    found = model.states.read([5])

    assert [(layer.name, layer.units) for layer in manifest.states] == [
        (f"{index}.{way}", 16) for index in (0, 1) for way in ("forward", "backward")
    ]
    assert {layer.values for layer in manifest.states} == {("hidden", "cell")}
    expected = {f"{layer.name}.{value}" for layer in manifest.states for value in layer.values}
    assert set(found) == expected
    assert {values.shape for values in found.values()} == {(1, 16)}
    # int8 and w8 have the same weights
    states = {graph.precision: graph.file for graph in manifest.graphs if graph.role == "states"}
    assert states == {"fp32": "states.fp32.onnx", "w8": "states.w8.onnx", "int8": "states.w8.onnx"}


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_version_of_one_precision_shows_its_states(
    precision: Precision, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    folder = export_run(tiny_run("classification", "lstm"), tmp_path, [precision])

    assert load_model(folder, Device("cpu")).states.read([5, 9])["1.backward.cell"].any()


def test_older_version_is_made_to_show_its_states(
    tiny_version: FolderMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tiny-translation-gru" / "1"
    shutil.copytree(tiny_version("translation", "gru"), folder)
    whole = read_manifest(folder)
    for file in folder.glob("states.*"):
        file.unlink()
    write_manifest(
        whole.model_copy(
            update={
                "states": (),
                "graphs": tuple(graph for graph in whole.graphs if graph.role != "states"),
                "files": tuple(each for each in whole.files if "states" not in each.name),
            }
        ),
        folder,
    )
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    main(["states", "--version-dir", str(folder)])

    assert read_manifest(folder) == whole
    assert f"wrote {folder}" in capsys.readouterr().out
    after = {file.name: file.read_bytes() for file in folder.iterdir()}
    del before["manifest.json"], after["manifest.json"]
    assert {name for name in after if before.get(name) != after[name]} == {
        "states.fp32.onnx",
        "states.w8.onnx",
    }


def test_graph_without_recurrent_layers_has_no_states() -> None:
    graph = GraphBuilder("plain")
    given = graph.input("input_ids", FLOAT, ["B", "T"])
    graph.output(graph.op("Tanh", given), "logits", FLOAT, ["B", "T"])

    assert derive_states(graph.build()) is None


@pytest.mark.parametrize("folder", sorted(SHIPPED.glob("*/*")), ids=lambda path: path.parent.name)
def test_last_states_of_a_shipped_language_model_are_those_it_goes_on_from(folder: Path) -> None:
    """The one graph that was exported with cell values: those after the last token."""
    manifest = read_manifest(folder)
    if manifest.task != "language":
        assert manifest.states
        return
    model = load_model(folder, Device("cpu"))
    (input_ids,) = model.encode(["Speak, and be still."])
    session = OnnxSession(folder / manifest.graph("prefill", "w8").file, Device("cpu"))
    first: Mapping[str, Array]
    first = {name: np.zeros((1, 1, manifest.states[0].units), np.float32) for name in VALUES}
    features = None
    if manifest.condition:
        features = [1.0] + [0.0] * (manifest.condition.size - 1)
        conditioner = OnnxSession(folder / manifest.graph("conditioner", "w8").file, Device("cpu"))
        first = conditioner.run({"features": np.array([features], np.float32)})
    given = {"input_ids": np.array([input_ids]), "lengths": np.array([len(input_ids)])}
    expected = session.run(given | first)

    found = model.states.read(input_ids, features)

    for name in VALUES:
        last = found[f"0.{name}"][-1]
        np.testing.assert_allclose(last, expected[f"next_{name}"][0, 0], atol=1e-5, rtol=1e-5)
