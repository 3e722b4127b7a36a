"""Derives the graph that gives what a model holds after each token, from the model's own graph.

ONNX's recurrent operators give the hidden values of every step. An LSTM's cell values they give
after the last step alone, but those of a step follow from hidden values, inputs and weights: the
gates of all steps are products of known matrices, and c[t] = f[t] * c[t-1] + i[t] * g[t].

The graph shares the weights file of the one that it comes from, which stays as it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from export.graphs.builder import Array, graph_file
from export.graphs.language import without_rounding
from service.repository.manifest import (
    READERS,
    Graph,
    Manifest,
    StateLayer,
    StateValue,
    describe_file,
)

CELLS = ("LSTM", "GRU", "RNN")
# From here on axes and sizes are inputs of the nodes that this file adds.
MIN_OPSET = 13
# The attributes of an LSTM that change its equations.
VARIANTS = ("activations", "clip", "input_forget", "layout")
WAYS = ("forward", "backward")


@dataclass(frozen=True)
class Recurrence:
    """One direction of a recurrent node.

    Attributes:
        name: of the layer, as clients see it.
        place: of the direction within the node.
    """

    name: str
    node: onnx.NodeProto
    place: int
    num_units: int
    is_backward: bool

    @property
    def gives_cell(self) -> bool:
        """Whether cell values follow from the standard equations."""
        has_peepholes = len(self.node.input) > 7 and bool(self.node.input[7])
        variants = {each.name for each in self.node.attribute} & set(VARIANTS)
        return self.node.op_type == "LSTM" and not has_peepholes and not variants

    @property
    def values(self) -> tuple[StateValue, ...]:
        return ("hidden", "cell") if self.gives_cell else ("hidden",)

    def input(self, place: int) -> str:
        """The name of an input of the node; "" if it is left out."""
        return self.node.input[place] if place < len(self.node.input) else ""


def add_states(manifest: Manifest, folder: Path) -> Manifest:
    """Writes the graphs of a version's states beside its graphs; its other files stay as they are.

    The precisions whose weights are the same share a graph.

    Returns:
        The manifest with them; unchanged if the states cannot be shown.
    """
    known = [graph for graph in manifest.graphs if graph.role != "states"]
    readers = {graph.precision: graph for graph in known if graph.role == READERS[manifest.task]}
    states: list[Graph] = []
    layers: tuple[StateLayer, ...] = ()
    for precision in manifest.precisions:
        source = readers.get(without_rounding(precision), readers[precision])
        derived = derive_states(onnx.load(folder / source.file, load_external_data=False))
        if derived is None:
            return manifest
        model, layers = derived
        file = graph_file("states", source.precision)
        (folder / file).write_bytes(model.SerializeToString())
        states.append(Graph(role="states", precision=precision, file=file, inputs=source.inputs))
    written = {graph.file: describe_file(folder / graph.file) for graph in states}
    files = {entry.name: entry for entry in manifest.files} | written
    return manifest.model_copy(
        update={
            "graphs": (*known, *states),
            "files": tuple(files[name] for name in sorted(files)),
            "states": layers,
        }
    )


def derive_states(model: onnx.ModelProto) -> tuple[onnx.ModelProto, tuple[StateLayer, ...]] | None:
    """Makes the graph of a model's states from one that reads whole texts.

    It computes in float32, also from int8 weights. It takes those inputs of that graph that the
    recurrent layers depend on, for one text at a time, and gives `<layer>.hidden` and, for LSTM,
    `<layer>.cell`, each (1, T, H) float32.

    Returns:
        The graph and its layers; None if the model has no recurrent layers or its opset is too old.
    """
    if min((each.version for each in model.opset_import if not each.domain), default=0) < MIN_OPSET:
        return None
    derived = onnx.ModelProto()
    derived.CopyFrom(model)
    graph = derived.graph
    unpack_weights(graph)
    recurrences = list(find_recurrences(graph))
    if not recurrences:
        return None
    graph.name = "states"
    del graph.output[:]
    for each in recurrences:
        each.node.output[0] = each.node.output[0] or f"states.{each.name}.all"
    for each in recurrences:
        add_outputs(graph, each)
    prune(graph)
    layers = tuple(StateLayer(name=r.name, units=r.num_units, values=r.values) for r in recurrences)
    return derived, layers


def unpack_weights(graph: onnx.GraphProto) -> None:
    """Has float32 layers in place of DynamicQuantizeLSTM, with the same weights."""
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        if node.op_type == "DynamicQuantizeLSTM":
            inputs = list(node.input)
            added = Nodes(graph, f"states.{node.name}")
            scales = (inputs[8], inputs[10])  # zero points are zero
            inputs[1:3] = [unpack(added, *pair) for pair in zip(inputs[1:3], scales, strict=True)]
            lstm = helper.make_node("LSTM", inputs[:8], list(node.output), name=node.name)
            lstm.attribute.extend(node.attribute)
            node = lstm
        graph.node.append(node)


def unpack(nodes: "Nodes", levels: str, scales: str) -> str:
    """Levels (D, I, 4H) int8 and scales (D, 4H) -> (D, 4H, I) float32."""
    floats = nodes.add("Cast", levels, to=TensorProto.FLOAT)
    scaled = nodes.add("Mul", floats, nodes.add("Unsqueeze", scales, nodes.ints(1)))
    return nodes.add("Transpose", scaled, perm=[0, 2, 1])


def find_recurrences(graph: onnx.GraphProto) -> Iterator[Recurrence]:
    """All directions of the recurrent nodes, in the order of the graph, bottom layer first."""
    nodes = [node for node in graph.node if node.op_type in CELLS and not node.domain]
    for index, node in enumerate(nodes):
        attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        if attributes.get("layout"):
            continue  # batch first, which onnxruntime does not run on a CPU
        direction = attributes.get("direction", b"forward").decode()
        is_both = direction == "bidirectional"
        for place in range(2 if is_both else 1):
            is_backward = direction == "reverse" or place == 1
            name = f"{index}.{WAYS[is_backward]}" if is_both or is_backward else str(index)
            yield Recurrence(name, node, place, attributes["hidden_size"], is_backward)


def add_outputs(graph: onnx.GraphProto, recurrence: Recurrence) -> None:
    """Adds the hidden values of a layer, and its cell values, to a graph's outputs."""
    nodes = Nodes(graph, f"states.{recurrence.name}")
    hidden = nodes.add(  # (T, B, H)
        "Gather", recurrence.node.output[0], nodes.int(recurrence.place), axis=1
    )
    found = {"hidden": hidden}
    if recurrence.gives_cell:
        found["cell"] = add_cell(nodes, recurrence, hidden)
    for value, steps in found.items():
        name = f"{recurrence.name}.{value}"
        graph.node.append(helper.make_node("Transpose", [steps], [name], perm=[1, 0, 2]))
        shape: list[str | int] = ["B", "T", recurrence.num_units]
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))


def add_cell(nodes: "Nodes", recurrence: Recurrence, hidden: str) -> str:
    """Adds the cell values (T, 1, H) of an LSTM's direction whose hidden values are known."""
    place = nodes.int(recurrence.place)
    inputs, weight, recurrent = recurrence.node.input[:3]
    size = recurrence.num_units

    def of_direction(name: str) -> str:
        return nodes.add("Gather", name, place, axis=0)

    def first(place: int, name: str) -> str:
        """The state before the first step, (1, H)."""
        given = recurrence.input(place)
        return of_direction(given) if given else nodes.constant(name, np.zeros((1, size), "f4"))

    before = nodes.add("Unsqueeze", first(5, "no_hidden"), nodes.ints(0))
    all_but_one = (nodes.ints(1), nodes.ints(np.iinfo(np.int64).max), nodes.ints(0))
    if recurrence.is_backward:
        previous = nodes.add("Concat", nodes.add("Slice", hidden, *all_but_one), before, axis=0)
    else:
        shifted = nodes.add("Slice", hidden, nodes.ints(0), nodes.ints(-1), nodes.ints(0))
        previous = nodes.add("Concat", before, shifted, axis=0)
    gates = nodes.add(
        "Add",
        multiply(nodes, inputs, of_direction(weight)),
        multiply(nodes, previous, of_direction(recurrent)),
    )
    if bias := recurrence.input(3):
        sizes = nodes.ints(4 * size, 4 * size)
        halves = nodes.add_all("Split", of_direction(bias), sizes, num_outputs=2, axis=0)
        gates = nodes.add("Add", gates, nodes.add("Add", *halves))
    # ONNX's order; the output gate is in the hidden values already
    add, _, keep, candidate = nodes.add_all(
        "Split", gates, nodes.ints(*[size] * 4), num_outputs=4, axis=-1
    )
    added = nodes.add("Mul", nodes.add("Sigmoid", add), nodes.add("Tanh", candidate))
    kept = nodes.add("Sigmoid", keep)
    return scan(nodes, first(6, "no_cell"), kept, added, is_backward=recurrence.is_backward)


def multiply(nodes: "Nodes", steps: str, weight: str) -> str:
    """(T, B, I) by ONNX's (4H, I) -> (T, B, 4H)."""
    return nodes.add("MatMul", steps, nodes.add("Transpose", weight, perm=[1, 0]))


def scan(nodes: "Nodes", start: str, kept: str, added: str, *, is_backward: bool) -> str:
    """c[t] = kept[t] * c[t - 1] + added[t] from a start (1, H); steps (T, 1, H)."""
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["keep", "before"], ["rest"]),
            helper.make_node("Add", ["rest", "add"], ["after"]),
            helper.make_node("Identity", ["after"], ["told"]),
        ],
        "step",
        [helper.make_tensor_value_info(name, 1, None) for name in ("before", "keep", "add")],
        [helper.make_tensor_value_info(name, 1, None) for name in ("after", "told")],
    )
    way = int(is_backward)
    directions = {"scan_input_directions": [way, way], "scan_output_directions": [way]}
    return nodes.add_all(
        "Scan", start, kept, added, num_outputs=2, body=body, num_scan_inputs=2, **directions
    )[1]


class Nodes:
    """Adds nodes and constants to a graph, under names of their own."""

    def __init__(self, graph: onnx.GraphProto, prefix: str) -> None:
        self._graph, self._prefix = graph, prefix
        self._count = 0

    def add(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        return self.add_all(op_type, *inputs, num_outputs=1, **attributes)[0]

    def add_all(self, op_type: str, *inputs: str, num_outputs: int, **attributes: Any) -> list[str]:
        self._count += 1
        name = f"{self._prefix}.{op_type.lower()}_{self._count}"
        outputs = [f"{name}_{index}" for index in range(num_outputs)]
        self._graph.node.append(
            helper.make_node(op_type, list(inputs), outputs, name=name, **attributes)
        )
        return outputs

    def constant(self, name: str, array: Array) -> str:
        name = f"{self._prefix}.{name}"
        if name not in {each.name for each in self._graph.initializer}:
            self._graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant("ints_" + "_".join(map(str, values)), np.array(values, np.int64))

    def int(self, value: int) -> str:
        return self.constant(f"int_{value}", np.array(value, np.int64))


def prune(graph: onnx.GraphProto) -> None:
    """Removes the nodes, weights and inputs that no output depends on."""
    needed = {output.name for output in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.isdisjoint(node.output):
            continue
        needed.update(node.input)
        kept.append(node)
    keep(graph.node, reversed(kept))
    keep(graph.initializer, (each for each in graph.initializer if each.name in needed))
    keep(graph.input, (each for each in graph.input if each.name in needed))


def keep(field: Any, wanted: Iterable[Any]) -> None:
    """Replaces the items of a repeated field."""
    items = list(wanted)
    del field[:]
    field.extend(items)
