"""The graphs of our models: classifier, encoder, and one decoder step with top-k inside."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto

from export.graph import GraphBuilder
from export.layers import LayerBuilder, Matrix, Weights
from models.seq2seq import EMBEDDING_SCALE
from service.manifest import Precision

FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
NEVER = -1e9


def select(weights: Weights, prefix: str) -> dict[str, Matrix]:
    """The weights of one torch module, without its prefix."""
    return {
        name[len(prefix) + 1 :]: array
        for name, array in weights.items()
        if name.startswith(prefix + ".")
    }


def build_classifier(
    weights: Weights, cell: str, num_layers: int, precision: Precision, linear_before_reset: int = 1
) -> onnx.ModelProto:
    """Graph of `models.classifier.Classifier`.

    Inputs input_ids (B, T) int64 and lengths (B) int64; output logits (B, C) float32.
    """
    graph = GraphBuilder("classifier")
    layers = LayerBuilder(graph, precision, linear_before_reset)
    input_ids = graph.input("input_ids", INT64, ["B", "T"])
    lengths = graph.input("lengths", INT64, ["B"])
    embedded = _embed(layers, weights, input_ids)
    outputs, _ = _encode(layers, weights, cell, num_layers, embedded, lengths)  # (B, T, 2H)
    mask = graph.op(
        "Unsqueeze", _length_mask(graph, input_ids, lengths), graph.ints(2)
    )  # (B, T, 1)
    counts = graph.op("Unsqueeze", graph.op("Cast", lengths, to=FLOAT), graph.ints(1))  # (B, 1)
    mean = graph.op("Div", graph.op("ReduceSum", outputs, graph.ints(1), keepdims=0), counts)
    lowest = graph.weight("lowest", np.array(np.finfo(np.float32).min, dtype=np.float32))
    peak = graph.op("ReduceMax", graph.op("Where", mask, outputs, lowest), axes=[1], keepdims=0)
    pooled = graph.op("Concat", mean, peak, axis=-1)  # (B, 4H)
    logits = layers.linear("output", pooled, weights["output.weight"], weights["output.bias"])
    graph.output(logits, "logits", FLOAT, ["B", "C"])
    return graph.build()


def build_encoder(
    weights: Weights, cell: str, num_layers: int, precision: Precision, linear_before_reset: int = 1
) -> onnx.ModelProto:
    """Graph of `models.seq2seq.Seq2Seq.encode`.

    Inputs input_ids (N, S) int64 and lengths (N) int64. Outputs, all float32: keys (N, A, S),
    values (N, S, M), and the decoder's first state, hidden (2, N, H) and, for lstm, cell (2, N, H).
    """
    graph = GraphBuilder("encoder")
    layers = LayerBuilder(graph, precision, linear_before_reset)
    input_ids = graph.input("input_ids", INT64, ["N", "S"])
    lengths = graph.input("lengths", INT64, ["N"])
    embedded = _embed(layers, weights, input_ids)
    outputs, final_states = _encode(layers, weights, cell, num_layers, embedded, lengths)
    values = graph.op("Concat", outputs, _words(graph, embedded, input_ids, lengths), axis=-1)
    decoder = select(weights, "decoder")
    keys = _normalize(graph, layers.linear("key", values, decoder["attention.key.weight"]))
    bridge = graph.op(
        "Tanh",
        layers.linear("bridge", final_states, decoder["bridge.weight"], decoder["bridge.bias"]),
    )
    state_names = ["hidden", "cell"] if cell == "lstm" else ["hidden"]
    hidden_size = decoder["bridge.weight"].shape[0] // (2 * len(state_names))
    states = graph.op("Reshape", bridge, graph.ints(0, -1, hidden_size))  # (N, 2 or 4, H)
    states = graph.op("Transpose", states, perm=[1, 0, 2])
    parts = graph.ops("Split", states, num_outputs=len(state_names), axis=0)
    graph.output(graph.op("Transpose", keys, perm=[0, 2, 1]), "keys", FLOAT, ["N", "A", "S"])
    graph.output(values, "values", FLOAT, ["N", "S", "M"])
    for name, part in zip(state_names, parts, strict=True):
        graph.output(part, name, FLOAT, [2, "N", "H"])
    return graph.build()


def build_decoder(
    weights: Weights,
    cell: str,
    forbidden_ids: Sequence[int],
    precision: Precision,
    linear_before_reset: int = 1,
) -> onnx.ModelProto:
    """Graph of one decoder step over R hypotheses of N sentences.

    Inputs:
        token_ids (R) int64: last token of each hypothesis, at first the start token.
        parents (R) int64: row of `hidden` and `cell` that each continues; beams reorder by it.
        sentences (R) int64: row of the memory that each hypothesis reads.
        hidden, and cell for lstm (2, P, H) float32: states after the step before.
        keys (N, A, S), values (N, S, M) float32, lengths (N) int64: the memory.
        num_candidates (1) int64: K.

    Outputs:
        scores (R, K) float32: log-probabilities of the best next tokens, best first.
        candidates (R, K) int64: their ids; `forbidden_ids` never are among them.
        next_hidden, next_cell (2, R, H); attention (R, S) float32.
    """
    graph = GraphBuilder("decoder")
    layers = LayerBuilder(graph, precision, linear_before_reset)
    decoder = select(weights, "decoder")
    token_ids = graph.input("token_ids", INT64, ["R"])
    parents = graph.input("parents", INT64, ["R"])
    sentences = graph.input("sentences", INT64, ["R"])
    state_names = ["hidden", "cell"] if cell == "lstm" else ["hidden"]
    states = [
        _layer_states(graph, graph.input(name, FLOAT, [2, "P", "H"]), parents)
        for name in state_names
    ]
    memory = [
        graph.input("keys", FLOAT, ["N", "A", "S"]),
        graph.input("values", FLOAT, ["N", "S", "M"]),
        graph.input("lengths", INT64, ["N"]),
    ]
    num_candidates = graph.input("num_candidates", INT64, [1])

    embedded = layers.embed(
        "embedding", graph.op("Unsqueeze", token_ids, graph.ints(0)), weights["embedding.weight"]
    )
    bottom = _step(layers, "bottom", cell, embedded, decoder, [layer[0] for layer in states])
    context, attention = _attend(layers, decoder, bottom[0], sentences, memory)
    top_inputs = graph.op("Concat", bottom[0], context, axis=-1)  # (1, R, H + M)
    top = _step(layers, "top", cell, top_inputs, decoder, [layer[1] for layer in states])
    features = graph.op(
        "Squeeze", graph.op("Concat", top[0], context, axis=-1), graph.ints(0)
    )  # (R, H + M)
    readout = graph.op(
        "Tanh",
        layers.linear("readout", features, decoder["readout.weight"], decoder["readout.bias"]),
    )
    bias = weights["output_bias"].copy()
    bias[list(forbidden_ids)] = NEVER
    logits = layers.linear("output", readout, weights["embedding.weight"], bias)  # (R, V)
    best, candidates = graph.ops("TopK", logits, num_candidates, num_outputs=2, axis=-1)
    scores = graph.op("Sub", best, graph.op("ReduceLogSumExp", logits, axes=[-1], keepdims=1))

    graph.output(scores, "scores", FLOAT, ["R", "K"])
    graph.output(candidates, "candidates", INT64, ["R", "K"])
    for index, name in enumerate(state_names):
        state = graph.op("Concat", bottom[index], top[index], axis=0)  # (2, R, H)
        graph.output(state, f"next_{name}", FLOAT, [2, "R", "H"])
    graph.output(attention, "attention", FLOAT, ["R", "S"])
    return graph.build()


def _embed(layers: LayerBuilder, weights: Weights, input_ids: str) -> str:
    """Ids (B, T) -> embeddings (T, B, E), time first, as the recurrent operators take them."""
    steps = layers.graph.op("Transpose", input_ids, perm=[1, 0])
    return layers.embed("embedding", steps, weights["embedding.weight"])


def _words(graph: GraphBuilder, embedded: str, input_ids: str, lengths: str) -> str:
    """Embeddings (T, B, E) as they stand in the memory: (B, T, E), scaled, zero at padding."""
    mask = graph.op("Cast", _length_mask(graph, input_ids, lengths), to=FLOAT)
    scale = graph.weight("embedding.scale", np.array(EMBEDDING_SCALE, np.float32))
    factors = graph.op("Unsqueeze", graph.op("Mul", mask, scale), graph.ints(2))  # (B, T, 1)
    return graph.op("Mul", graph.op("Transpose", embedded, perm=[1, 0, 2]), factors)


def _normalize(graph: GraphBuilder, vectors: str) -> str:
    """Unit vectors along the last axis, as torch's `normalize` makes them."""
    norms = graph.op("ReduceL2", vectors, axes=[-1], keepdims=1)
    return graph.op(
        "Div", vectors, graph.op("Max", norms, graph.weight("tiny", np.array(1e-12, np.float32)))
    )


def _encode(
    layers: LayerBuilder, weights: Weights, cell: str, num_layers: int, embedded: str, lengths: str
) -> tuple[str, str]:
    """Stack over (T, B, E): outputs (B, T, 2H), zero beyond each length, final states (B, 2H)."""
    graph = layers.graph
    outputs = embedded
    lengths32 = graph.op("Cast", lengths, to=INT32)
    final = ""
    for index in range(num_layers):
        prefix = f"encoder.layers.{index}"
        directions: list[Weights] = [
            select(weights, f"{prefix}.{way}_layer") for way in ("forward", "backward")
        ]
        both, final, *_ = layers.recurrent(f"encoder.{index}", cell, outputs, directions, lengths32)
        both = graph.op("Transpose", both, perm=[0, 2, 1, 3])  # (T, B, 2, H)
        outputs = graph.op("Reshape", both, graph.ints(0, 0, -1))  # (T, B, 2H)
    final = graph.op(
        "Reshape", graph.op("Transpose", final, perm=[1, 0, 2]), graph.ints(0, -1)
    )  # (B, 2H)
    return graph.op("Transpose", outputs, perm=[1, 0, 2]), final


def _length_mask(graph: GraphBuilder, input_ids: str, lengths: str) -> str:
    """True at tokens: (B, T) bool."""
    return _mask(graph, graph.op("Shape", input_ids, start=1, end=2), lengths)


def _mask(graph: GraphBuilder, max_length: str, lengths: str) -> str:
    """max_length (1) int64 and lengths (B) -> (B, max_length) bool."""
    zero, one = (
        graph.weight("zero", np.array(0, np.int64)),
        graph.weight("one", np.array(1, np.int64)),
    )
    positions = graph.op("Range", zero, graph.op("Squeeze", max_length, graph.ints(0)), one)
    return graph.op(
        "Less",
        graph.op("Unsqueeze", positions, graph.ints(0)),
        graph.op("Unsqueeze", lengths, graph.ints(1)),
    )


def _layer_states(graph: GraphBuilder, state: str, parents: str) -> list[str]:
    """(2, P, H) reordered by parents and cut into the two layers, each (1, R, H)."""
    return graph.ops("Split", graph.op("Gather", state, parents, axis=1), num_outputs=2, axis=0)


def _step(
    layers: LayerBuilder,
    name: str,
    cell: str,
    inputs: str,
    decoder: Mapping[str, Matrix],
    states: list[str],
) -> list[str]:
    """One step of one layer: the new states, hidden first, each (1, R, H)."""
    return layers.recurrent(name, cell, inputs, [select(decoder, name)], "", *states)[1:]


def _attend(
    layers: LayerBuilder,
    decoder: Mapping[str, Matrix],
    queries: str,
    sentences: str,
    memory: list[str],
) -> tuple[str, str]:
    """Cosine attention of `models.attention`: context (1, R, M) and weights (R, S)."""
    graph = layers.graph
    keys, values, lengths = (graph.op("Gather", part, sentences, axis=0) for part in memory)
    query = _normalize(graph, layers.linear("query", queries, decoder["attention.query.weight"]))
    query = graph.op("Transpose", query, perm=[1, 0, 2])  # (R, 1, A)
    cosines = graph.op("Squeeze", graph.op("MatMul", query, keys), graph.ints(1))  # (R, S)
    sharpness = graph.weight("attention.sharpness", decoder["attention.sharpness"])
    scores = graph.op("Mul", cosines, sharpness)
    mask = _mask(graph, graph.op("Shape", memory[1], start=1, end=2), lengths)
    scores = graph.op(
        "Where", mask, scores, graph.weight("minus_infinity", np.array(-np.inf, np.float32))
    )
    weights = graph.op("Softmax", scores, axis=-1)
    context = graph.op("MatMul", graph.op("Unsqueeze", weights, graph.ints(1)), values)  # (R, 1, M)
    return graph.op("Transpose", context, perm=[1, 0, 2]), weights
