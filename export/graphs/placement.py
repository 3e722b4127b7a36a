"""Where onnxruntime's CUDA provider would run the nodes of a graph, told without a GPU.

A node without a kernel falls back to the CPU silently, and everything that it reads and writes is
copied. The rules are read from the runtime's source; see docs/gpu.md.
"""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from export.graphs.builder import OPSET

TABLE = Path(__file__).parent / "cuda_kernels.toml"

# What cuDNN's recurrent layers can be asked for; anything else runs on the CPU.
CUDNN_ATTRIBUTES: dict[str, tuple[Any, ...]] = {
    "direction": (b"forward", b"bidirectional"),
    "input_forget": (0,),
    "layout": (0,),
}
UNKNOWN_TO_CUDNN = ("activation_alpha", "activation_beta", "activations", "clip")
RECURRENT = ("GRU", "LSTM", "RNN")
PEEPHOLES = 7  # the input of an LSTM

# What a CUDA graph cannot hold: it reads or writes numbers on the host, or has no fixed shape.
NEVER_CAPTURED = frozenset(
    {*RECURRENT, "ScatterND", "Shape", "Size", "Range", "NonZero", "If", "Loop", "Scan"}
)
# Inputs that kernels read on the host; a captured graph has them as constants.
HOST_INPUTS: dict[str, tuple[int, ...]] = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Pad": (1, 2),
    "ReduceSum": (1,),
    "Reshape": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
}


@cache
def read_table() -> Mapping[str, Mapping[str, Any]]:
    """The kernels by operator: `opsets` and `types`."""
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def find_misplaced(model: onnx.ModelProto) -> list[str]:
    """Nodes that the CUDA provider would leave to the CPU, one sentence each.

    Nodes that depend on constants alone are left out: they are folded when the graph is loaded.
    """
    types = _find_types(model)
    constants = find_constants(model)
    faults = []
    for node in model.graph.node:
        if set(node.output) <= constants:
            continue
        found = dict.fromkeys(_find_faults(node, types))  # of several values once
        faults += [f"{node.name}: {fault}" for fault in found]
    return faults


def find_capture_hazards(model: onnx.ModelProto) -> list[str]:
    """Nodes that a CUDA graph cannot hold, one sentence each."""
    constants = find_constants(model)
    faults = []
    for node in model.graph.node:
        if set(node.output) <= constants:
            continue
        if node.op_type in NEVER_CAPTURED:
            faults.append(f"{node.name}: {node.op_type} cannot be captured")
        faults += [
            f"{node.name}: input {place} is read on the host and is computed"
            for place in HOST_INPUTS.get(node.op_type, ())
            if place < len(node.input) and node.input[place] not in {"", *constants}
        ]
    return faults


def find_host_nodes(model: onnx.ModelProto) -> set[str]:
    """Nodes that compute with shapes alone, which the runtime leaves to the CPU on purpose."""
    on_host, nodes = find_constants(model), set[str]()
    for node in model.graph.node:
        if node.op_type in ("Shape", "Size") or set(filter(None, node.input)) <= on_host:
            on_host |= set(node.output)
            nodes.add(node.name)
    return nodes


def find_constants(model: onnx.ModelProto) -> set[str]:
    """Values that depend on weights alone."""
    constants = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        if set(filter(None, node.input)) <= constants:
            constants |= set(node.output)
    return constants


def _find_types(model: onnx.ModelProto) -> dict[str, str]:
    """The element type of each value, as "float16"."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    known = [*graph.input, *graph.output, *graph.value_info]
    numbers = {value.name: value.type.tensor_type.elem_type for value in known}
    numbers |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {name: TensorProto.DataType.Name(number).lower() for name, number in numbers.items()}


def _find_faults(node: onnx.NodeProto, types: Mapping[str, str]) -> Iterator[str]:
    kernel = read_table().get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if kernel is None:
        yield f"the table has no CUDA kernel for {node.domain or 'ai.onnx'} {node.op_type}"
        return
    schema = onnx.defs.get_schema(node.op_type, OPSET, node.domain)
    first, last = kernel["opsets"]
    if not first <= schema.since_version <= (last or schema.since_version):
        yield f"{node.op_type}-{schema.since_version} is not among {first} to {last}"
    for values, formals in ((node.input, schema.inputs), (node.output, schema.outputs)):
        for place, value in enumerate(values):
            formal = formals[min(place, len(formals) - 1)].type_str
            usable = kernel["types"].get(formal)
            # what an operator of another domain makes has no known type, and that one is a fault
            if value in types and usable and types[value] not in usable:
                yield f"{node.op_type} has no kernel for {types[value]} as {formal}"
    if node.op_type in RECURRENT:
        yield from _find_cudnn_faults(node)


def _find_cudnn_faults(node: onnx.NodeProto) -> Iterator[str]:
    given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    for name in UNKNOWN_TO_CUDNN:
        if name in given:
            yield f"cuDNN does not know {name}"
    for name, usable in CUDNN_ATTRIBUTES.items():
        if given.get(name, usable[0]) not in usable:
            yield f"cuDNN does not know {name} {given[name]!r}"
    if node.op_type == "GRU" and given.get("linear_before_reset", 0) != 1:
        yield "cuDNN knows linear_before_reset 1 alone"
    if node.op_type == "LSTM" and len(node.input) > PEEPHOLES and node.input[PEEPHOLES]:
        yield "cuDNN does not know peepholes"
