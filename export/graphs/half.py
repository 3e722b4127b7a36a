"""Turns a float32 graph into one that computes in float16, for GPUs.

Inputs and outputs stay float32 unless they are named, so runners feed both alike. Where float16 has
too little range, operators stay in float32; casts stand at the borders.
"""

from collections.abc import Collection

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, FLOAT16 = TensorProto.FLOAT, TensorProto.FLOAT16
LARGEST = float(np.finfo(np.float16).max)
# Exponentials and their sums overflow; the divisor that keeps a norm above zero would be zero; log
# probabilities are what is compared. ScatterND cannot add float16 on the CPU, where graphs are
# checked. ConstantOfShape makes float32 unless told otherwise.
FLOAT32_OPS = frozenset(
    {"ConstantOfShape", "Div", "Exp", "LogSoftmax", "Max", "ReduceL2", "ScatterND"}
)
# They compute nothing, so what they move stays in float32 if it is; so does a sum of two values.
MOVES = frozenset(
    {"Concat", "Gather", "GatherElements", "Identity", "Pad", "Reshape"}
    | {"Slice", "Split", "Squeeze", "TopK", "Transpose", "Unsqueeze", "Where"}
)


def to_half(model: onnx.ModelProto, half_values: Collection[str] = ()) -> onnx.ModelProto:
    """Converts a graph of standard operators.

    Args:
        model: in float32, with its weights inside.
        half_values: inputs and outputs that become float16, too.
    """
    return _Converter(model, half_values).convert()


class _Converter:
    """The nodes of the new graph so far, and the types of the values in it."""

    def __init__(self, model: onnx.ModelProto, half_values: Collection[str]) -> None:
        graph = onnx.shape_inference.infer_shapes(model).graph
        self._model, self._half_values = model, half_values
        known = [*graph.input, *graph.output, *graph.value_info]
        self._is_float = {v.name for v in known if v.type.tensor_type.elem_type == FLOAT}
        self._weights = {tensor.name: tensor for tensor in graph.initializer}
        self._is_float |= {
            name for name, tensor in self._weights.items() if tensor.data_type == FLOAT
        }
        self._outputs = {value.name for value in graph.output}
        self._made_by = {name: node.op_type for node in graph.node for name in node.output}
        self._types = {
            value.name: self._border_type(value.name)
            for value in graph.input
            if value.name in self._is_float
        }
        self._nodes: list[onnx.NodeProto] = []
        self._used: dict[str, TensorProto] = {}
        self._casts: dict[tuple[str, int], str] = {}

    def convert(self) -> onnx.ModelProto:
        for node in self._model.graph.node:
            self._add(node)
        graph = helper.make_graph(
            self._nodes,
            self._model.graph.name,
            [self._describe(value) for value in self._model.graph.input],
            [self._describe(value) for value in self._model.graph.output],
            list(self._used.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=self._model.opset_import,
            ir_version=self._model.ir_version,
            producer_name=self._model.producer_name,
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _add(self, node: onnx.NodeProto) -> None:
        """Copies a node, in the type that it computes in."""
        dtype = self._choose_type(node)
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        copied.input[:] = [self._read(name, dtype) for name in node.input]
        if node.op_type == "MatMul" and self._made_by.get(node.input[0]) == "Transpose":
            copied.input[0] = self._part_from_transpose(copied.input[0])
        if node.op_type == "Cast" and node.output[0] in self._is_float:
            copied.attribute[0].i = dtype
        self._nodes.append(copied)
        for place, name in enumerate(node.output):
            if name not in self._is_float:
                continue
            if name in self._outputs and self._border_type(name) != dtype:
                inner = copied.output[place] = f"{name}.inner"
                self._cast(inner, self._border_type(name), name)
            self._types[name] = dtype

    def _part_from_transpose(self, name: str) -> str:
        """A value (.., .., ..) that onnxruntime does not take for the output of a Transpose.

        Where it moves a Cast past a Transpose to fuse that with a MatMul, it crashes (1.31, CPU,
        MatmulTransposeFusion).
        """
        as_it_is = numpy_helper.from_array(np.array([0, 0, -1]), "as_it_is")
        self._used.setdefault("as_it_is", as_it_is)
        parted = f"{name}.parted"
        self._nodes.append(
            helper.make_node("Reshape", [name, "as_it_is"], [parted], name=f"Reshape_{parted}")
        )
        return parted

    def _choose_type(self, node: onnx.NodeProto) -> int:
        makers = {self._made_by.get(name) for name in node.input}
        # a product of exponentials is as large as they are
        if node.op_type in FLOAT32_OPS or "Exp" in makers:
            return FLOAT
        types = {self._types[name] for name in node.input if name in self._types}
        is_sum = node.op_type == "Add" and all(name in self._types for name in node.input)
        return FLOAT if (node.op_type in MOVES or is_sum) and types == {FLOAT} else FLOAT16

    def _read(self, name: str, dtype: int) -> str:
        """The name under which a node that computes in a type reads a value."""
        if name in self._weights:
            return self._read_weight(name, dtype)
        if name not in self._is_float or self._types[name] == dtype:
            return name
        return self._casts.get((name, dtype)) or self._cast(name, dtype)

    def _read_weight(self, name: str, dtype: int) -> str:
        """Adds a weight in the type that it is needed in; a large one would become infinite."""
        tensor = self._weights[name]
        if tensor.data_type == FLOAT and dtype == FLOAT16:
            array = numpy_helper.to_array(tensor).clip(-LARGEST, LARGEST).astype(np.float16)
            self._used.setdefault(name, numpy_helper.from_array(array, name))
            return name
        in_full = f"{name}.float32" if tensor.data_type == FLOAT else name
        if in_full not in self._used:
            copied = self._used[in_full] = TensorProto()
            copied.CopyFrom(tensor)
            copied.name = in_full
        return in_full

    def _cast(self, name: str, dtype: int, output: str = "") -> str:
        suffix = "half" if dtype == FLOAT16 else "float32"
        output = output or f"{name}.{suffix}"
        self._nodes.append(
            helper.make_node("Cast", [name], [output], name=f"Cast_{output}", to=dtype)
        )
        self._casts[name, dtype] = output
        return output

    def _border_type(self, name: str) -> int:
        return FLOAT16 if name in self._half_values else FLOAT

    def _describe(self, value: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
        """The description of an input or output."""
        described = onnx.ValueInfoProto()
        described.CopyFrom(value)
        if value.name in self._is_float:
            described.type.tensor_type.elem_type = self._border_type(value.name)
        return described
