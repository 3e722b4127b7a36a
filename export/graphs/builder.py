"""Builds ONNX graphs node by node, and writes them with one shared weights file.

The graphs are built explicitly rather than traced: ONNX has LSTM, GRU and RNN operators that take
the length of each text, and an explicit graph cannot be specialised to an example's shape.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from service.repository.manifest import Precision, Role

OPSET = 17
IR_VERSION = 8
MICROSOFT = "com.microsoft"
EXTERNAL_BYTES = 1024
ALIGNMENT = 64

Array = NDArray[Any]


class GraphBuilder:
    """Collects nodes and weights; a method that adds a node returns the names of its outputs."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, Array] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def input(self, name: str, dtype: int, shape: Sequence[str | int]) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, value: str, name: str, dtype: int, shape: Sequence[str | int]) -> None:
        """Names a value as an output of the graph."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def weight(self, name: str, array: Array) -> str:
        """Adds a constant; the same name refers to the same constant."""
        known = self._weights.setdefault(name, np.asarray(array, order="C"))
        assert known.shape == array.shape, f"weight {name} was given twice with different shapes"
        return name

    def ints(self, *values: int) -> str:
        return self.weight("ints_" + "_".join(map(str, values)), np.array(values, dtype=np.int64))

    def op(self, op_type: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Adds a node with one output."""
        return self.ops(op_type, *inputs, num_outputs=1, domain=domain, **attributes)[0]

    def ops(
        self, op_type: str, *inputs: str, num_outputs: int, domain: str = "", **attributes: Any
    ) -> list[str]:
        """Adds a node with several outputs."""
        self._count += 1
        outputs = [f"{op_type.lower()}_{self._count}_{index}" for index in range(num_outputs)]
        name = f"{op_type}_{self._count}"
        self._nodes.append(
            helper.make_node(op_type, list(inputs), outputs, name=name, domain=domain, **attributes)
        )
        return outputs

    def build(self) -> onnx.ModelProto:
        """Builds and checks the model, with its weights inside."""
        initializers = [
            numpy_helper.from_array(array, name) for name, array in self._weights.items()
        ]
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, initializers)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="seqserve"
        )
        onnx.checker.check_model(model)
        return model


def graph_file(role: Role, precision: Precision) -> str:
    """The name of a graph's file."""
    return f"{role}.{precision}.onnx"


def save_graphs(
    models: Mapping[str, onnx.ModelProto], folder: Path, weights_file: str = "weights.bin"
) -> None:
    """Writes each model under its file name, and stores equal weights once for all graphs.

    Large tensors go to `weights_file` as ONNX external data, keyed by their content, so that the
    encoder, the decoder and their other precisions share what they have in common.
    """
    offsets: dict[str, int] = {}
    with (folder / weights_file).open("wb") as stream:
        for model in models.values():
            for tensor in model.graph.initializer:
                content = tensor.raw_data
                if len(content) < EXTERNAL_BYTES:
                    continue
                key = hashlib.sha256(content).hexdigest()
                if key not in offsets:
                    stream.write(b"\0" * (-stream.tell() % ALIGNMENT))
                    offsets[key] = stream.tell()
                    stream.write(content)
                _point_to(tensor, weights_file, offsets[key], len(content))
    for name, model in models.items():
        (folder / name).write_bytes(model.SerializeToString())


def _point_to(tensor: TensorProto, location: str, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        tensor.external_data.append(onnx.StringStringEntryProto(key=key, value=str(value)))
