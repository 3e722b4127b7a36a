from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from export.graphs.builder import ALIGNMENT, EXTERNAL_BYTES, GraphBuilder, save_graphs
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession

LARGE = np.arange(EXTERNAL_BYTES, dtype=np.float32)


def build_sum(weight: np.ndarray, name: str = "weight") -> onnx.ModelProto:
    graph = GraphBuilder("sum")
    inputs = graph.input("inputs", TensorProto.FLOAT, ["N"])
    total = graph.op("Add", inputs, graph.weight(name, weight))
    graph.output(total, "total", TensorProto.FLOAT, ["N"])
    return graph.build()


def external_places(model: onnx.ModelProto) -> list[dict[str, str]]:
    return [
        {entry.key: entry.value for entry in tensor.external_data}
        for tensor in model.graph.initializer
        if tensor.data_location == TensorProto.EXTERNAL
    ]


def test_saved_graph_runs_from_its_weights_file(tmp_path: Path) -> None:
    save_graphs({"sum.onnx": build_sum(LARGE)}, tmp_path)
    session = OnnxSession(tmp_path / "sum.onnx", Device("cpu"))
    outputs = session.run({"inputs": np.ones(len(LARGE), np.float32)})
    assert np.array_equal(outputs["total"], LARGE + 1)


def test_equal_weights_are_stored_once_for_all_graphs(tmp_path: Path) -> None:
    models = {"a.onnx": build_sum(LARGE, "one name"), "b.onnx": build_sum(LARGE, "another")}
    save_graphs(models, tmp_path)
    assert (tmp_path / "weights.bin").stat().st_size == LARGE.nbytes
    assert external_places(models["a.onnx"]) == external_places(models["b.onnx"])


def test_different_weights_are_aligned(tmp_path: Path) -> None:
    models = {"a.onnx": build_sum(LARGE[:-1]), "b.onnx": build_sum(LARGE[1:])}
    save_graphs(models, tmp_path)
    offsets = [int(external_places(model)[0]["offset"]) for model in models.values()]
    assert offsets[0] == 0
    assert offsets[1] % ALIGNMENT == 0


def test_small_weight_stays_in_its_graph(tmp_path: Path) -> None:
    model = build_sum(np.ones(3, np.float32))
    save_graphs({"sum.onnx": model}, tmp_path)
    assert external_places(model) == []
    assert (tmp_path / "weights.bin").stat().st_size == 0


def test_weight_added_twice_is_stored_once() -> None:
    graph = GraphBuilder("twice")
    inputs = graph.input("inputs", TensorProto.INT64, [2])
    total = graph.op("Add", graph.op("Add", inputs, graph.ints(1, 2)), graph.ints(1, 2))
    graph.output(total, "total", TensorProto.INT64, [2])
    assert [tensor.name for tensor in graph.build().graph.initializer] == ["ints_1_2"]


def test_invalid_graph_is_rejected() -> None:
    graph = GraphBuilder("broken")
    graph.output(graph.op("Neg", "nowhere"), "negated", TensorProto.FLOAT, [1])
    with pytest.raises(onnx.checker.ValidationError, match="nowhere"):
        graph.build()
