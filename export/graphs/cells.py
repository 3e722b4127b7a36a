"""One step of a recurrent cell as one product and its gates, for graphs that cannot hold LSTM.

The recurrent operators of onnxruntime's CUDA provider read lengths on the host and copy from it at
every call, so a captured CUDA graph cannot hold them. The products of inputs and state are one
Gemm: its launch costs more than its arithmetic.
"""

import numpy as np

from export.graphs.layers import LayerBuilder, Weights
from models.networks.gates import reorder_gates


def step_cell(
    layers: LayerBuilder, name: str, cell: str, inputs: str, weights: Weights, states: list[str]
) -> list[str]:
    """Adds one step of one layer.

    Args:
        layers: of the graph.
        name: prefix of its weights, which are those of `LayerBuilder.recurrent`.
        cell: lstm, gru or rnn.
        inputs: (R, I).
        weights: torch's, as in `LayerBuilder.recurrent`.
        states: hidden, and cell for lstm, each (R, H).

    Returns:
        The new states, in the order of `states`.
    """
    return {"lstm": _step_lstm, "gru": _step_gru, "rnn": _step_rnn}[cell](
        layers, name, inputs, weights, states
    )


def _step_lstm(
    layers: LayerBuilder, name: str, inputs: str, weights: Weights, states: list[str]
) -> list[str]:
    graph = layers.graph
    hidden, memory = states
    biases = reorder_gates(weights["bias_ih_l0"] + weights["bias_hh_l0"], "lstm")
    both = [layers.gates(name, "lstm", weights, part) for part in ("input", "recurrent")]
    matrix = graph.op("Concat", *both, axis=1)  # (4H, I + H)
    sums = _multiply(layers, inputs, hidden, matrix, graph.weight(f"{name}.biases", biases))
    size = len(biases) // 4
    gates, candidate = graph.ops("Split", sums, graph.ints(3 * size, size), num_outputs=2, axis=1)
    add, give, keep = graph.ops("Split", graph.op("Sigmoid", gates), num_outputs=3, axis=1)
    added = graph.op("Mul", add, graph.op("Tanh", candidate))
    memory = graph.op("Add", graph.op("Mul", keep, memory), added)
    return [graph.op("Mul", give, graph.op("Tanh", memory)), memory]


def _step_gru(
    layers: LayerBuilder, name: str, inputs: str, weights: Weights, states: list[str]
) -> list[str]:
    """Torch's variant, which resets the product of the state: its candidate is in two parts."""
    graph = layers.graph
    (hidden,) = states
    from_input, from_hidden = (
        reorder_gates(weights[key], "gru") for key in ("bias_ih_l0", "bias_hh_l0")
    )
    size = len(from_input) // 3
    gate_biases, candidate_biases = np.split(from_input, [2 * size])
    biases = [gate_biases + from_hidden[: 2 * size], candidate_biases, from_hidden[2 * size :]]
    sizes = graph.ints(2 * size, size)
    parts = [
        graph.ops("Split", layers.gates(name, "gru", weights, part), sizes, num_outputs=2, axis=0)
        for part in ("input", "recurrent")
    ]
    (input_gates, input_candidate), (hidden_gates, hidden_candidate) = parts
    no_inputs, no_hidden = (
        graph.op("ConstantOfShape", graph.ints(size, weights[key].shape[1]))
        for key in ("weight_ih_l0", "weight_hh_l0")
    )
    rows = [
        graph.op("Concat", input_gates, hidden_gates, axis=1),
        graph.op("Concat", input_candidate, no_hidden, axis=1),
        graph.op("Concat", no_inputs, hidden_candidate, axis=1),
    ]
    matrix = graph.op("Concat", *rows, axis=0)  # (4H, I + H)
    bias = graph.weight(f"{name}.biases", np.concatenate(biases))
    sums = _multiply(layers, inputs, hidden, matrix, bias)
    gates, new, kept = graph.ops(
        "Split", sums, graph.ints(2 * size, size, size), num_outputs=3, axis=1
    )
    update, reset = graph.ops("Split", graph.op("Sigmoid", gates), num_outputs=2, axis=1)
    candidate = graph.op("Tanh", graph.op("Add", new, graph.op("Mul", reset, kept)))
    change = graph.op("Mul", update, graph.op("Sub", hidden, candidate))
    return [graph.op("Add", candidate, change)]


def _step_rnn(
    layers: LayerBuilder, name: str, inputs: str, weights: Weights, states: list[str]
) -> list[str]:
    graph = layers.graph
    both = [layers.gates(name, "rnn", weights, part) for part in ("input", "recurrent")]
    bias = graph.weight(f"{name}.biases", weights["bias_ih_l0"] + weights["bias_hh_l0"])
    matrix = graph.op("Concat", *both, axis=1)
    return [graph.op("Tanh", _multiply(layers, inputs, states[0], matrix, bias))]


def _multiply(layers: LayerBuilder, inputs: str, hidden: str, matrix: str, bias: str) -> str:
    """Multiplies inputs (R, I) and state (R, H) by a matrix (N, I + H), plus bias (N) -> (R, N)."""
    graph = layers.graph
    return graph.op("Gemm", graph.op("Concat", inputs, hidden, axis=1), matrix, bias, transB=1)
