"""Graphs in float16: what becomes float16, and what may not."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from export.graphs.builder import GraphBuilder, save_graphs
from export.graphs.half import LARGEST, to_half
from export.graphs.host_lengths import split_lengths
from export.publish import build_graphs
from service.arrays import Array
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.repository.manifest import SLOT_ROLES
from tests.export.conftest import RunMaker

FLOAT = TensorProto.FLOAT


def run_model(model: onnx.ModelProto, folder: Path, **feeds: Array) -> dict[str, Array]:
    save_graphs({"graph.onnx": model}, folder)
    return OnnxSession(folder / "graph.onnx", Device("cpu")).run(feeds)


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    known = [*graph.input, *graph.output, *graph.value_info]
    return {value.name: value.type.tensor_type.elem_type for value in known}


@pytest.mark.parametrize("task", ["classification", "translation", "language", "tagging"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_products_and_recurrent_layers_are_in_float16(
    task: str, cell: str, random_run: RunMaker
) -> None:
    for graph in build_graphs(random_run(task, cell), "fp16").values():
        types = types_of(graph)
        for node in graph.graph.node:
            if node.op_type in {"LSTM", "GRU", "Tanh", "Gemm"}:
                assert types[node.output[0]] == TensorProto.FLOAT16, node.name


@pytest.mark.parametrize("task", ["classification", "translation", "language", "tagging"])
def test_inputs_and_outputs_are_those_of_float32(task: str, random_run: RunMaker) -> None:
    run = random_run(task, "lstm")
    in_full = build_graphs(run, "fp32")
    # the steps in slots exist for GPUs alone
    graphs = build_graphs(run, "fp16").items()
    for role, graph in ((role, graph) for role, graph in graphs if role not in SLOT_ROLES):
        same = split_lengths(in_full[role]).graph
        assert list(graph.graph.input) == list(same.input)
        assert list(graph.graph.output) == list(same.output)


def test_named_inputs_and_outputs_become_float16(tmp_path: Path) -> None:
    graph = GraphBuilder("sum")
    left, right = (graph.input(name, FLOAT, ["N"]) for name in ("left", "right"))
    total = graph.op("Add", left, right)
    graph.output(total, "total", FLOAT, ["N"])
    graph.output(graph.op("Exp", total), "power", FLOAT, ["N"])
    outputs = run_model(
        to_half(graph.build(), {"left", "total"}),
        tmp_path,
        left=np.array([1.0], np.float16),
        right=np.array([2.0], np.float32),
    )
    assert (outputs["total"].dtype, outputs["power"].dtype) == (np.float16, np.float32)
    assert outputs["total"].tolist() == [3.0]
    assert outputs["power"] == pytest.approx(np.exp(3.0), rel=1e-6)


def test_weights_beyond_float16_stay_finite(tmp_path: Path) -> None:
    graph = GraphBuilder("bias")
    inputs = graph.input("inputs", FLOAT, [2])
    never = graph.weight("never", np.array([-1e9, 0.0], np.float32))
    graph.output(graph.op("Add", inputs, never), "biased", FLOAT, [2])
    outputs = run_model(to_half(graph.build()), tmp_path, inputs=np.zeros(2, np.float32))
    assert outputs["biased"].tolist() == [-LARGEST, 0.0]


@pytest.mark.parametrize("sharpness", [-75.0, 75.0])
def test_exponentials_of_the_sharpest_attention_do_not_overflow(
    sharpness: float, tmp_path: Path
) -> None:
    graph = GraphBuilder("attend")
    scores = graph.input("scores", FLOAT, [1, 16])
    values = graph.input("values", FLOAT, [16, 2])
    weights = graph.op("Exp", scores)
    graph.output(graph.op("MatMul", weights, values), "sums", FLOAT, [1, 2])
    outputs = run_model(
        to_half(graph.build()),
        tmp_path,
        scores=np.full((1, 16), sharpness, np.float32),
        values=np.ones((16, 2), np.float32),
    )
    assert outputs["sums"] == pytest.approx(16 * np.exp(sharpness), rel=1e-2)


def test_vector_of_zeros_has_no_direction_but_is_finite(tmp_path: Path) -> None:
    """The divisor is above zero in float32 alone."""
    graph = GraphBuilder("unit")
    vectors = graph.input("vectors", FLOAT, [1, 4])
    norms = graph.op("ReduceL2", vectors, axes=[-1], keepdims=1)
    tiny = graph.weight("tiny", np.array(1e-12, np.float32))
    graph.output(graph.op("Div", vectors, graph.op("Max", norms, tiny)), "unit", FLOAT, [1, 4])
    outputs = run_model(to_half(graph.build()), tmp_path, vectors=np.zeros((1, 4), np.float32))
    assert outputs["unit"].tolist() == [[0.0] * 4]


@pytest.mark.parametrize("task", ["classification", "translation"])
def test_weights_take_half_the_bytes(task: str, random_run: RunMaker, tmp_path: Path) -> None:
    sizes = []
    for precision in ("fp32", "fp16"):
        graphs = build_graphs(random_run(task, "lstm"), precision)
        save_graphs({f"{role}.onnx": graph for role, graph in graphs.items()}, tmp_path)
        sizes.append((tmp_path / "weights.bin").stat().st_size)
    assert sizes[1] < 0.52 * sizes[0]
