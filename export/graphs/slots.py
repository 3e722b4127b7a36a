"""Builds the graphs of greedy decoding in slots, for a device that runs captured CUDA graphs.

A slot holds one sentence from its first step to its last, in buffers whose shapes and addresses
never change: R slots of S source positions. The step has no operator that a capture forbids: no
recurrent operator, nothing that computes a shape or reads a number on the host, no branch and no
loop. K steps are unrolled, since launching kernels costs more than their arithmetic.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx

from export.graphs.builder import GraphBuilder
from export.graphs.cells import step_cell
from export.graphs.layers import LayerBuilder, Weights
from export.graphs.networks import FLOAT, INT64, NEVER, normalize, select
from service.repository.manifest import Precision

# Added to the score of a position without a token. float16 has it, and no cosine makes up for it.
PADDING = -1e4
LAYERS = ("bottom", "top")
SHAPES: dict[str, list[str | int]] = {
    "token_ids": ["R"],
    "keys": ["R", "A", "S"],
    "values": ["R", "S", "M"],
    "padding": ["R", 1, "S"],
}
"""Of what a slot holds; states are (R, H)."""
POSITIONS = {"keys": 2, "values": 1, "padding": 2}
"""The axis of the source positions."""


def name_states(cell: str) -> list[str]:
    """The names of the decoder's states in slots, each (R, H): by layer, hidden before cell."""
    kinds = ("hidden", "cell") if cell == "lstm" else ("hidden",)
    return [f"{kind}_{layer}" for layer in range(len(LAYERS)) for kind in kinds]


def build_slot_decoder(
    weights: Weights,
    cell: str,
    forbidden_ids: Sequence[int],
    eos_id: int,
    precision: Precision,
    num_steps: int,
) -> onnx.ModelProto:
    """Builds the graph of K greedy steps of the decoder over R slots.

    Inputs:
        token_ids (R) int64: the last token of each slot, at first the start token.
        keys (R, A, S), values (R, S, M) float32: outputs of the encoder.
        padding (R, 1, S) float32: 0 at tokens, `PADDING` elsewhere.
        hidden_0, hidden_1, and cell_0, cell_1 for lstm (R, H) float32: states of the two layers.

    Outputs:
        tokens (R, K) int64: the best next tokens, never `forbidden_ids`. After eos, a slot gives
            nothing but eos.
        scores (R, K) float32: their log-probabilities; 0 after eos.
        next_token_ids, next_hidden_0...: what the next call takes.
    """
    graph = GraphBuilder(f"slot_decoder_{num_steps}")
    layers = LayerBuilder(graph, precision)
    decoder = select(weights, "decoder")
    # the engine allocates its buffers by these
    attention_size, hidden_size = decoder["attention.query.weight"].shape
    memory_size = decoder["readout.weight"].shape[1] - hidden_size
    token_ids = graph.input("token_ids", INT64, ["R"])
    keys = graph.input("keys", FLOAT, ["R", attention_size, "S"])
    values = graph.input("values", FLOAT, ["R", "S", memory_size])
    padding = graph.input("padding", FLOAT, ["R", 1, "S"])
    names = name_states(cell)
    flat = [graph.input(name, FLOAT, ["R", hidden_size]) for name in names]
    per_layer = len(flat) // len(LAYERS)
    bottom, top = flat[:per_layer], flat[per_layer:]
    eos = graph.weight("eos", np.array(eos_id, np.int64))
    bias = weights["output_bias"].copy()
    bias[list(forbidden_ids)] = NEVER

    tokens, scores = [], []
    for _ in range(num_steps):
        embedded = layers.embed("embedding", token_ids, weights["embedding.weight"])  # (R, E)
        bottom = step_cell(layers, "bottom", cell, embedded, select(decoder, "bottom"), bottom)
        context = _attend(layers, decoder, bottom[0], keys, values, padding)
        top_inputs = graph.op("Concat", bottom[0], context, axis=1)
        top = step_cell(layers, "top", cell, top_inputs, select(decoder, "top"), top)
        features = graph.op("Concat", top[0], context, axis=1)  # (R, H + M)
        product = layers.linear(
            "readout", features, decoder["readout.weight"], decoder["readout.bias"]
        )
        readout = graph.op("Tanh", product)
        logits = layers.linear("output", readout, weights["embedding.weight"], bias)  # (R, V)
        best = graph.op("ArgMax", logits, axis=1, keepdims=1)  # (R, 1)
        log_probabilities = graph.op("LogSoftmax", logits, axis=1)
        score = graph.op("GatherElements", log_probabilities, best, axis=1)
        ended = graph.op("Equal", graph.op("Unsqueeze", token_ids, graph.ints(1)), eos)
        token = graph.op("Where", ended, eos, best)
        zero = graph.weight("zero_score", np.array(0.0, np.float32))
        tokens.append(token)
        scores.append(graph.op("Where", ended, zero, score))
        token_ids = graph.op("Squeeze", token, graph.ints(1))

    graph.output(graph.op("Concat", *tokens, axis=1), "tokens", INT64, ["R", num_steps])
    graph.output(graph.op("Concat", *scores, axis=1), "scores", FLOAT, ["R", num_steps])
    graph.output(token_ids, "next_token_ids", INT64, ["R"])
    for name, state in zip(names, bottom + top, strict=True):
        graph.output(state, f"next_{name}", FLOAT, ["R", hidden_size])
    return graph.build()


def _attend(
    layers: LayerBuilder, decoder: Weights, queries: str, keys: str, values: str, padding: str
) -> str:
    """Applies the cosine attention of `models.networks.attention` to slots: contexts (R, M)."""
    graph = layers.graph
    query = normalize(graph, layers.linear("query", queries, decoder["attention.query.weight"]))
    sharpness = graph.weight("attention.sharpness", decoder["attention.sharpness"])
    query = graph.op("Unsqueeze", graph.op("Mul", query, sharpness), graph.ints(1))  # (R, 1, A)
    scores = graph.op("Add", graph.op("MatMul", query, keys), padding)  # (R, 1, S)
    shares = graph.op("Softmax", scores, axis=-1)
    return graph.op("Squeeze", graph.op("MatMul", shares, values), graph.ints(1))


def build_slot_join(cell: str) -> onnx.ModelProto:
    """Builds the graph that arranges slots anew: sentences join, leave and move to other buckets.

    It has no weights and is never captured: its shapes change with what joins.

    Inputs:
        token_ids (P), keys (P, A, U), values (P, U, M), padding (P, 1, U), hidden_0...: P slots of
            U positions, as in `build_slot_decoder`.
        start_ids (N) int64: the start tokens of N new sentences.
        new_keys (N, A, T), new_values (N, T, M), hidden (2, N, H), and cell for lstm: outputs of
            the encoder. new_padding (N, 1, T) float32.
        sources (R) int64: what each slot of the result holds, a slot or P + the place of a new
            sentence.
        width (1) int64: the positions of the old slots that are kept, at most U and S.
        added, new_added (1) int64: the empty positions that are added to the old slots and to the
            new sentences, up to S.

    Outputs: next_token_ids (R), next_keys (R, A, S), next_values (R, S, M), next_padding (R, 1, S),
    next_hidden_0...
    """
    graph = GraphBuilder("slot_join")
    names = name_states(cell)
    shapes = SHAPES | {name: ["R", "H"] for name in names}
    arrange_slots(graph, shapes, names, lambda state: state)
    return graph.build()


def arrange_slots(
    graph: GraphBuilder,
    shapes: Mapping[str, list[str | int]],
    names: Sequence[str],
    spread: Callable[[str], str],
) -> None:
    """Adds the inputs, nodes and outputs of a join.

    Args:
        graph: under construction.
        shapes: of what R slots hold, by name; (P, ..., U) are the shapes of the old ones.
        names: of the states.
        spread: makes a new sentence's state (N, H) one of a slot.
    """
    dtypes = {name: INT64 if name == "token_ids" else FLOAT for name in shapes}
    old_axes: dict[str | int, str] = {"R": "P", "S": "U"}
    new_axes: dict[str | int, str] = {"R": "N", "S": "T"}
    old = {
        name: graph.input(name, dtypes[name], [old_axes.get(axis, axis) for axis in shape])
        for name, shape in shapes.items()
    }
    new = {
        name: graph.input(
            "start_ids" if name == "token_ids" else f"new_{name}",
            dtypes[name],
            [new_axes.get(axis, axis) for axis in shape],
        )
        for name, shape in shapes.items()
        if name not in names
    }
    for kind in ("hidden", "cell")[: len(names) // len(LAYERS)]:
        state = graph.input(kind, FLOAT, [len(LAYERS), "N", "H"])
        parts = graph.ops("Split", state, num_outputs=len(LAYERS), axis=0)
        for layer, part in enumerate(parts):
            new[f"{kind}_{layer}"] = spread(graph.op("Squeeze", part, graph.ints(0)))
    sources = graph.input("sources", INT64, ["R"])
    width = graph.input("width", INT64, [1])
    added, new_added = (graph.input(name, INT64, [1]) for name in ("added", "new_added"))
    for name, shape in shapes.items():
        kept, joining = old[name], new[name]
        if name in POSITIONS:
            kept = graph.op("Slice", kept, graph.ints(0), width, graph.ints(POSITIONS[name]))
            kept = _add_positions(graph, name, kept, added)
            joining = _add_positions(graph, name, joining, new_added)
        rows = graph.op("Gather", graph.op("Concat", kept, joining, axis=0), sources, axis=0)
        graph.output(rows, f"next_{name}", dtypes[name], shape)


def _add_positions(graph: GraphBuilder, name: str, value: str, added: str) -> str:
    """Appends positions without a token to a value (rows, ...) of three axes."""
    before_and_after = [0] * 6  # of each axis
    place = len(SHAPES[name]) + POSITIONS[name]
    around = before_and_after[:place], before_and_after[place + 1 :]
    parts = [graph.ints(*zeros) for zeros in around if zeros]
    pads = graph.op("Concat", *parts[:1], added, *parts[1:], axis=0)
    fill = np.array(PADDING if name == "padding" else 0.0, np.float32)
    return graph.op("Pad", value, pads, graph.weight(f"no_{name}", fill))
