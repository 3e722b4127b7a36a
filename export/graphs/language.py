"""Builds the graphs of a language model: prompts, one step, and the states that a condition sets.

The result of a row never depends on the other rows, even in int8, so that a seed gives the same
text in any batch. A model that is fed with its condition has it as one more state, `condition`
(1, N, E), which stays as it is.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto

from export.graphs.builder import GraphBuilder
from export.graphs.layers import LayerBuilder, Weights
from export.graphs.networks import NEVER, select
from service.repository.manifest import Precision

FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64


def build_prefill(
    weights: Weights,
    cell: str,
    num_layers: int,
    precision: Precision,
    linear_before_reset: int = 1,
) -> onnx.ModelProto:
    """Builds the graph that reads prompts.

    int8 weights are multiplied in float32: DynamicQuantizeLSTM rounds on a scale of the batch.

    Inputs: input_ids (N, T) int64, padded; lengths (N) int64, >= 1; hidden, and cell for lstm,
    (L, N, H) float32, the states before. Outputs next_hidden, next_cell (L, N, H): the states after
    the last token of each row.
    """
    graph = GraphBuilder("prefill")
    layers = LayerBuilder(graph, without_rounding(precision), linear_before_reset)
    input_ids = graph.input("input_ids", INT64, ["N", "T"])
    lengths = graph.op("Cast", graph.input("lengths", INT64, ["N"]), to=INT32)
    size = weights["layers.0.weight_hh_l0"].shape[1]
    states = [
        graph.ops("Split", _input_state(graph, name, "N", num_layers, size), num_outputs=num_layers)
        for name in state_names(cell)
    ]
    steps = graph.op("Transpose", input_ids, perm=[1, 0])
    outputs = layers.embed("embedding", steps, weights["embedding.weight"])  # (T, N, E)
    if is_fed(weights):
        condition = _input_condition(graph, weights, "N")
        outputs = graph.op("Add", outputs, condition)
        _output_condition(graph, weights, condition, "N")
    after = []
    for index in range(num_layers):
        before = [parts[index] for parts in states]
        directions: list[Weights] = [select(weights, f"layers.{index}")]
        both, *last = layers.recurrent(
            f"layers.{index}", cell, outputs, directions, lengths, *before
        )
        outputs = graph.op("Squeeze", both, graph.ints(1))  # (T, N, H)
        after.append(last)
    _output_states(graph, cell, after, "N", size)
    return graph.build()


def build_generator(
    weights: Weights,
    cell: str,
    num_layers: int,
    forbidden_ids: Sequence[int],
    precision: Precision,
    linear_before_reset: int = 1,
) -> onnx.ModelProto:
    """Builds the graph of one step over R texts.

    Inputs:
        token_ids (R) int64: last token of each text, at first bos or the last one of the prompt.
        parents (R) int64: row of `hidden` and `cell` that each continues.
        hidden, and cell for lstm (L, P, H) float32: states after the step before.

    Outputs:
        logits (R, V) float32; -1e9 at `forbidden_ids`. next_hidden, next_cell (L, R, H) float32.
    """
    graph = GraphBuilder("generator")
    layers = LayerBuilder(graph, precision, linear_before_reset)
    token_ids = graph.input("token_ids", INT64, ["R"])
    parents = graph.input("parents", INT64, ["R"])
    size = weights["layers.0.weight_hh_l0"].shape[1]
    states = [
        graph.ops(
            "Split",
            graph.op("Gather", _input_state(graph, name, "P", num_layers, size), parents, axis=1),
            num_outputs=num_layers,
        )
        for name in state_names(cell)
    ]
    embedding = weights["embedding.weight"]
    outputs = layers.embed("embedding", graph.op("Unsqueeze", token_ids, graph.ints(0)), embedding)
    bound = float(np.abs(embedding).max())
    if is_fed(weights):
        condition = graph.op("Gather", _input_condition(graph, weights, "P"), parents, axis=1)
        outputs, bound = graph.op("Add", outputs, condition), bound + 1.0  # a tanh
        _output_condition(graph, weights, condition, "R")
    after = []
    for index in range(num_layers):
        before = [parts[index] for parts in states]
        layer = select(weights, f"layers.{index}")
        after.append(layers.step(f"layers.{index}", cell, outputs, layer, before, bound))
        outputs, bound = after[-1][0], 1.0  # hidden states are within 1
    logits = _predict(layers, weights, outputs, forbidden_ids)
    graph.output(graph.op("Squeeze", logits, graph.ints(0)), "logits", FLOAT, ["R", "V"])
    _output_states(graph, cell, after, "R", size)
    return graph.build()


def build_conditioner(
    weights: Weights, cell: str, num_layers: int, precision: Precision
) -> onnx.ModelProto:
    """Builds the graph that turns features (N, F) float32 into the first states.

    Outputs hidden, and cell for lstm, (L, N, H) float32, and the condition of a model that is fed
    with it. Features have no bound that int8 could
    round them by, so int8 weights are multiplied in float32.
    """
    graph = GraphBuilder("conditioner")
    layers = LayerBuilder(graph, without_rounding(precision))
    weight, bias = weights["condition.weight"], weights["condition.bias"]
    features = graph.input("features", FLOAT, ["N", weight.shape[1]])
    size = weights["layers.0.weight_hh_l0"].shape[1]
    vectors = graph.op("Tanh", layers.linear("first_state", features, weight, bias))
    states = graph.op("Reshape", vectors, graph.ints(0, -1, size))
    names = state_names(cell)
    stacked = graph.op("Transpose", states, perm=[1, 0, 2])  # (L or 2L, N, H)
    for name, part in zip(names, graph.ops("Split", stacked, num_outputs=len(names)), strict=True):
        graph.output(part, name, FLOAT, [num_layers, "N", size])
    if is_fed(weights):
        fed = layers.linear("feed", features, weights["feed.weight"], weights["feed.bias"])
        condition = graph.op("Unsqueeze", graph.op("Tanh", fed), graph.ints(0))
        graph.output(condition, "condition", FLOAT, [1, "N", len(weights["feed.bias"])])
    return graph.build()


def is_fed(weights: Weights) -> bool:
    """Whether the model reads its condition with each token."""
    return "feed.weight" in weights


def state_names(cell: str) -> tuple[str, ...]:
    return ("hidden", "cell") if cell == "lstm" else ("hidden",)


def without_rounding(precision: Precision) -> Precision:
    """The precision with the same weights whose arithmetic is in float32."""
    return "w8" if precision == "int8" else precision


def _predict(
    layers: LayerBuilder, weights: Weights, outputs: str, forbidden_ids: Sequence[int]
) -> str:
    """Logits (1, R, V) of outputs (1, R, H)."""
    is_tied = "readout.weight" in weights
    bias = weights["output_bias" if is_tied else "output.bias"].copy()
    bias[list(forbidden_ids)] = NEVER
    if not is_tied:
        return layers.linear("output", outputs, weights["output.weight"], bias, bound=1.0)
    readout = layers.linear(
        "readout", outputs, weights["readout.weight"], weights["readout.bias"], bound=1.0
    )
    readout = layers.graph.op("Tanh", readout)
    # the embedding's bytes, in the embedding's rounding
    return layers.linear("output", readout, weights["embedding.weight"], bias, bound=1.0)


def _input_condition(graph: GraphBuilder, weights: Weights, rows: str) -> str:
    return graph.input("condition", FLOAT, [1, rows, len(weights["feed.bias"])])


def _output_condition(graph: GraphBuilder, weights: Weights, condition: str, rows: str) -> None:
    size = len(weights["feed.bias"])
    graph.output(graph.op("Identity", condition), "next_condition", FLOAT, [1, rows, size])


def _input_state(graph: GraphBuilder, name: str, rows: str, num_layers: int, size: int) -> str:
    return graph.input(name, FLOAT, [num_layers, rows, size])


def _output_states(
    graph: GraphBuilder, cell: str, after: Sequence[Sequence[str]], rows: str, size: int
) -> None:
    """Stacks the layers' states."""
    for index, name in enumerate(state_names(cell)):
        stacked = graph.op("Concat", *(states[index] for states in after), axis=0)
        graph.output(stacked, f"next_{name}", FLOAT, [len(after), rows, size])
