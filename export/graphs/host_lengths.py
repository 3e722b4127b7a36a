"""Has recurrent layers read the lengths of texts from an input of their own.

CUDA's recurrent layers read them on the host. Where they are cast from `lengths`, on the device,
each run would copy them back and wait for that; an input that nothing else reads is left where it
is fed from. See docs/gpu.md.
"""

import onnx
from onnx import TensorProto, helper

from export.graphs.placement import RECURRENT

LENGTHS, ON_HOST = "lengths", "lengths_on_host"
SEQUENCE_LENS = 4  # the input of a recurrent operator


def split_lengths(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replaces the cast of `lengths` by an input `lengths_on_host` (B) int32.

    `lengths` stays if something else reads it, such as a mask. A graph without recurrent layers
    that read lengths stays as it is.
    """
    split = onnx.ModelProto()
    split.CopyFrom(model)
    graph = split.graph
    casts = [
        node for node in graph.node if node.op_type == "Cast" and list(node.input) == [LENGTHS]
    ]
    cast_lengths = {node.output[0] for node in casts}
    readers = [
        node
        for node in graph.node
        if node.op_type in RECURRENT
        and len(node.input) > SEQUENCE_LENS
        and node.input[SEQUENCE_LENS] in cast_lengths
    ]
    if not readers:
        return split
    for node in readers:
        node.input[SEQUENCE_LENS] = ON_HOST
    for node in casts:
        if not any(node.output[0] in each.input for each in graph.node):
            graph.node.remove(node)
    (lengths,) = (value for value in graph.input if value.name == LENGTHS)
    (axis,) = lengths.type.tensor_type.shape.dim
    if not any(LENGTHS in node.input for node in graph.node):
        graph.input.remove(lengths)
    graph.input.append(helper.make_tensor_value_info(ON_HOST, TensorProto.INT32, [axis.dim_param]))
    onnx.checker.check_model(split)
    return split
