from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch import nn

from export.graphs.builder import GraphBuilder, save_graphs
from export.graphs.layers import LayerBuilder, Weights, reorder_gates
from export.graphs.quantize import quantize_columns
from models.config import Cell
from models.networks.encoder import BidirectionalLayer, build_layer
from service.arrays import Array
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.repository.manifest import Precision

CELLS: Sequence[Cell] = ("lstm", "gru", "rnn")
PRECISIONS: Sequence[Precision] = ("fp32", "w8", "int8")
HIDDEN, INPUTS = 6, 5


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(5)


def run_graph(graph: GraphBuilder, folder: Path, **feeds: Array) -> dict[str, Array]:
    save_graphs({"graph.onnx": graph.build()}, folder)
    return OnnxSession(folder / "graph.onnx", Device("cpu")).run(feeds)


def randomized(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.0, 0.5)
    return module


def weights_of(module: nn.Module) -> Weights:
    return {name: array.numpy() for name, array in module.state_dict().items()}


def rounded(matrix: Array) -> Array:
    levels, scales = quantize_columns(matrix.T)
    return (levels * scales).T


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("precision", ["fp32", "w8"])
def test_layer_reads_both_directions_within_each_length(
    cell: Cell, precision: Precision, tmp_path: Path
) -> None:
    layer = BidirectionalLayer(cell, INPUTS, HIDDEN)
    randomized(layer)
    directions = [weights_of(layer.forward_layer), weights_of(layer.backward_layer)]
    graph = GraphBuilder("layer")
    builder = LayerBuilder(graph, precision)
    inputs = graph.input("inputs", TensorProto.FLOAT, ["T", "B", INPUTS])
    lengths = graph.input("lengths", TensorProto.INT32, ["B"])
    outputs = builder.recurrent("layer", cell, inputs, directions, lengths)
    graph.output(outputs[0], "outputs", TensorProto.FLOAT, ["T", 2, "B", HIDDEN])
    steps = np.random.default_rng(1).normal(size=(9, 3, INPUTS)).astype(np.float32)
    counts = np.array([9, 1, 4], np.int32)
    found = run_graph(graph, tmp_path, inputs=steps, lengths=counts)["outputs"]
    if precision == "w8":
        with torch.no_grad():
            for parameter in layer.parameters():
                if parameter.ndim == 2:
                    parameter.copy_(torch.from_numpy(rounded(parameter.numpy())))
    with torch.no_grad():
        expected = layer(torch.from_numpy(steps).transpose(0, 1), torch.from_numpy(counts).long())
    ours = found.transpose(2, 0, 1, 3).reshape(3, 9, 2 * HIDDEN)
    assert np.abs(ours - expected.numpy()).max() < 1e-5


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_step_continues_from_the_states(cell: Cell, precision: Precision, tmp_path: Path) -> None:
    layer = build_layer(cell, INPUTS, HIDDEN)
    randomized(layer)
    graph = GraphBuilder("step")
    builder = LayerBuilder(graph, precision)
    names = ["hidden", "cell"] if cell == "lstm" else ["hidden"]
    states = [graph.input(name, TensorProto.FLOAT, [1, "B", HIDDEN]) for name in names]
    inputs = graph.input("inputs", TensorProto.FLOAT, [1, "B", INPUTS])
    results = builder.recurrent("step", cell, inputs, [weights_of(layer)], "", *states)
    for name, result in zip(names, results[1:], strict=True):
        graph.output(result, f"next_{name}", TensorProto.FLOAT, [1, "B", HIDDEN])
    rng = np.random.default_rng(2)
    feeds = {name: rng.normal(size=(1, 4, HIDDEN)).astype(np.float32) for name in names}
    step = rng.normal(size=(1, 4, INPUTS)).astype(np.float32)
    found = run_graph(graph, tmp_path, inputs=step, **feeds)
    given = tuple(torch.from_numpy(feeds[name]) for name in names)
    with torch.no_grad():
        _, after = layer(
            torch.from_numpy(step).transpose(0, 1), given if cell == "lstm" else given[0]
        )
    expected = after if cell == "lstm" else (after,)
    tolerance = 1e-5 if precision == "fp32" else 0.05
    for name, array in zip(names, expected, strict=True):
        assert np.abs(found[f"next_{name}"] - array.numpy()).max() < tolerance


def run_step(
    cell: Cell, precision: Precision, folder: Path, batch_size: int
) -> tuple[nn.Module, dict[str, Array], dict[str, Array]]:
    """Runs an explicit step on seeded inputs of magnitude 2; returns layer, inputs and outputs."""
    layer = randomized(build_layer(cell, INPUTS, HIDDEN))
    graph = GraphBuilder("step")
    names = ["hidden", "cell"] if cell == "lstm" else ["hidden"]
    states = [graph.input(name, TensorProto.FLOAT, [1, "B", HIDDEN]) for name in names]
    inputs = graph.input("inputs", TensorProto.FLOAT, [1, "B", INPUTS])
    results = LayerBuilder(graph, precision).step(
        "step", cell, inputs, weights_of(layer), states, bound=2.0
    )
    for name, result in zip(names, results, strict=True):
        graph.output(result, f"next_{name}", TensorProto.FLOAT, [1, "B", HIDDEN])
    rng = np.random.default_rng(2)
    feeds = {
        "inputs": rng.uniform(-2, 2, (1, 9, INPUTS)).astype(np.float32)[:, :batch_size],
        "hidden": rng.uniform(-1, 1, (1, 9, HIDDEN)).astype(np.float32)[:, :batch_size],
        "cell": rng.normal(size=(1, 9, HIDDEN)).astype(np.float32)[:, :batch_size],
    }
    feeds = {name: feeds[name] for name in ["inputs", *names]}
    return layer, feeds, run_graph(graph, folder, **feeds)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_step_equals_that_of_the_layer(cell: Cell, precision: Precision, tmp_path: Path) -> None:
    layer, feeds, found = run_step(cell, precision, tmp_path, 9)
    given = [torch.from_numpy(feeds[name]) for name in feeds if name != "inputs"]
    with torch.no_grad():
        _, after = layer(
            torch.from_numpy(feeds["inputs"]).transpose(0, 1),
            tuple(given) if cell == "lstm" else given[0],
        )
    expected = after if cell == "lstm" else (after,)
    tolerance = 1e-5 if precision == "fp32" else 0.05
    for name, array in zip(["hidden", "cell"], expected, strict=False):
        assert np.abs(found[f"next_{name}"] - array.numpy()).max() < tolerance


def test_quantized_step_of_a_row_does_not_depend_on_the_others(tmp_path: Path) -> None:
    torch.manual_seed(5)
    _, _, together = run_step("lstm", "int8", tmp_path, 9)
    torch.manual_seed(5)
    _, _, alone = run_step("lstm", "int8", tmp_path, 1)
    for name in ("next_hidden", "next_cell"):
        assert np.array_equal(together[name][:, :1], alone[name])


def test_rounding_within_a_bound_keeps_rows_independent(tmp_path: Path) -> None:
    weight = np.random.default_rng(3).normal(size=(4, INPUTS)).astype(np.float32)
    graph = GraphBuilder("linear")
    inputs = graph.input("inputs", TensorProto.FLOAT, ["N", INPUTS])
    product = LayerBuilder(graph, "int8").linear("linear", inputs, weight, bound=3.0)
    graph.output(product, "product", TensorProto.FLOAT, ["N", 4])
    rows = np.random.default_rng(4).uniform(-3, 3, (7, INPUTS)).astype(np.float32)
    together = run_graph(graph, tmp_path, inputs=rows)["product"]
    alone = run_graph(graph, tmp_path, inputs=rows[:1])["product"]
    assert np.array_equal(together[:1], alone)
    assert np.abs(together - rows @ rounded(weight).T).max() < 0.1


@pytest.mark.parametrize("precision", PRECISIONS)
def test_linear_layer_with_bias(precision: Precision, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    weight, bias = rng.normal(size=(4, INPUTS)).astype(np.float32), np.ones(4, np.float32)
    graph = GraphBuilder("linear")
    inputs = graph.input("inputs", TensorProto.FLOAT, ["N", INPUTS])
    product = LayerBuilder(graph, precision).linear("linear", inputs, weight, bias)
    graph.output(product, "product", TensorProto.FLOAT, ["N", 4])
    rows = rng.normal(size=(7, INPUTS)).astype(np.float32)
    found = run_graph(graph, tmp_path, inputs=rows)["product"]
    exact = rows @ (weight if precision == "fp32" else rounded(weight)).T + bias
    assert np.abs(found - exact).max() < (0.1 if precision == "int8" else 1e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_embedding_and_output_layer_share_their_bytes(precision: Precision, tmp_path: Path) -> None:
    matrix = np.random.default_rng(4).normal(size=(300, 32)).astype(np.float32)
    graph = GraphBuilder("tied")
    builder = LayerBuilder(graph, precision)
    ids = graph.input("ids", TensorProto.INT64, ["N"])
    embedded = builder.embed("embedding", ids, matrix)
    logits = builder.linear("output", embedded, matrix)
    graph.output(logits, "logits", TensorProto.FLOAT, ["N", 300])
    found = run_graph(graph, tmp_path, ids=np.array([0, 299, 7]))["logits"]
    assert np.abs(found - matrix[[0, 299, 7]] @ matrix.T).max() < 0.5
    size = matrix.size * (4 if precision == "fp32" else 1)
    assert (tmp_path / "weights.bin").stat().st_size <= size + 300 * 4


def test_int8_uses_the_int8_operators_if_there_are_any() -> None:
    kinds: dict[str, set[str]] = {}
    for cell in CELLS:
        layer = randomized(build_layer(cell, INPUTS, HIDDEN))
        graph = GraphBuilder("step")
        inputs = graph.input("inputs", TensorProto.FLOAT, ["T", "B", INPUTS])
        outputs = LayerBuilder(graph, "int8").recurrent("x", cell, inputs, [weights_of(layer)])
        graph.output(outputs[0], "outputs", TensorProto.FLOAT, ["T", 1, "B", HIDDEN])
        model: onnx.ModelProto = graph.build()
        kinds[cell] = {node.op_type for node in model.graph.node}
    assert "DynamicQuantizeLSTM" in kinds["lstm"]
    assert "GRU" in kinds["gru"]
    assert "RNN" in kinds["rnn"]


@pytest.mark.parametrize(("cell", "order"), [("lstm", "iofc"), ("gru", "zrn"), ("rnn", "h")])
def test_gates_are_in_the_order_of_onnx(cell: str, order: str) -> None:
    torch_order = {"lstm": "ifco", "gru": "rzn", "rnn": "h"}[cell]
    stacked = np.array([[ord(gate)] * 2 for gate in torch_order for _ in range(3)], np.float32)
    found = reorder_gates(stacked, cell)[::3, 0]
    assert "".join(chr(int(gate)) for gate in found) == order
