"""Builds the graph that tells how probable a translation is, all of its tokens at once."""

import numpy as np
import onnx

from export.graphs.builder import GraphBuilder
from export.graphs.layers import LayerBuilder, Weights
from export.graphs.networks import (
    FLOAT,
    INT64,
    bound_inputs,
    check_sharpness,
    embed_steps,
    encode_memory,
    find_logits,
    length_mask,
    normalize,
    select,
)
from export.graphs.slots import PADDING
from models.config import ModelConfig
from service.repository.manifest import Precision

# A token that no translation has, and that a source may have, counts as one that is very unlikely.
LOWEST = -30.0


def build_scorer(
    weights: Weights, config: ModelConfig, precision: Precision, linear_before_reset: int = 1
) -> onnx.ModelProto:
    """Builds the graph of `models.networks.seq2seq.Seq2Seq.forward`, with the tokens' scores.

    Its weights are those of the encoder and of the decoder's step, to the byte.

    Inputs:
        input_ids (N, S) int64, lengths (N) int64: texts, padded.
        target_ids (N, T + 1) int64: a translation of each, from its start token to eos, padded.

    Outputs:
        scores (N, T) float32: the log-probability of each token after the start token, at least
            `LOWEST`; undefined at padding.

    Raises:
        ValueError: the sharpness of the attention is out of bounds.
    """
    graph = GraphBuilder("scorer")
    layers = LayerBuilder(graph, precision, linear_before_reset)
    decoder, cell = select(weights, "decoder"), config.cell
    input_ids = graph.input("input_ids", INT64, ["N", "S"])
    lengths = graph.input("lengths", INT64, ["N"])
    target_ids = graph.input("target_ids", INT64, ["N", "T + 1"])
    memory = encode_memory(layers, weights, config, input_ids, lengths)
    states = [graph.ops("Split", part, num_outputs=2, axis=0) for part in memory.states]

    axis = graph.ints(1)
    fed = graph.op("Slice", target_ids, graph.ints(0), graph.ints(-1), axis)
    wanted = graph.op("Slice", target_ids, axis, graph.ints(np.iinfo(np.int64).max), axis)
    embedded = embed_steps(layers, weights, fed)  # (T, N, E)
    bottom = run_layer(layers, "bottom", cell, embedded, decoder, [part[0] for part in states])
    context = attend(
        layers, decoder, bottom, memory.keys, memory.values, length_mask(graph, input_ids, lengths)
    )  # (N, T, M)
    context_steps = graph.op("Transpose", context, perm=[1, 0, 2])
    top_inputs = graph.op("Concat", bottom, context_steps, axis=-1)
    top = run_layer(layers, "top", cell, top_inputs, decoder, [part[1] for part in states])
    features = graph.op("Concat", top, context_steps, axis=-1)  # (T, N, H + M)
    bound = bound_inputs(weights, config)
    logits = find_logits(layers, weights, features, weights["output_bias"], bound)  # (T, N, V)
    chosen = graph.op(
        "GatherElements",
        graph.op("LogSoftmax", logits, axis=-1),
        graph.op("Unsqueeze", graph.op("Transpose", wanted, perm=[1, 0]), graph.ints(2)),
        axis=-1,
    )
    lowest = graph.weight("lowest", np.array(LOWEST, np.float32))
    scores = graph.op("Max", graph.op("Squeeze", chosen, graph.ints(2)), lowest)  # (T, N)
    graph.output(graph.op("Transpose", scores, perm=[1, 0]), "scores", FLOAT, ["N", "T"])
    return graph.build()


def run_layer(
    layers: LayerBuilder,
    name: str,
    cell: str,
    inputs: str,
    decoder: Weights,
    states: list[str],
) -> str:
    """Runs a layer of the decoder over (T, N, I), from states (1, N, H) each: (T, N, H)."""
    outputs, *_ = layers.recurrent(name, cell, inputs, [select(decoder, name)], "", *states)
    return layers.graph.op("Squeeze", outputs, layers.graph.ints(1))


def attend(
    layers: LayerBuilder, decoder: Weights, queries: str, keys: str, values: str, mask: str
) -> str:
    """Applies the attention of `models.networks.attention` to queries (T, N, H): (N, T, M).

    Keys are (N, S, A), values (N, S, M), the mask (N, S).
    """
    graph = layers.graph
    sharpness = check_sharpness(decoder)
    query = layers.linear("query", queries, decoder["attention.query.weight"], bound=1.0)
    unit = graph.op("Transpose", normalize(graph, query), perm=[1, 0, 2])  # (N, T, A)
    cosines = graph.op("MatMul", unit, graph.op("Transpose", keys, perm=[0, 2, 1]))
    scores = graph.op("Mul", cosines, graph.weight("attention.sharpness", sharpness))
    padding = graph.op(
        "Where",
        graph.op("Unsqueeze", mask, graph.ints(1)),
        graph.weight("nothing", np.array(0.0, np.float32)),
        graph.weight("padding", np.array(PADDING, np.float32)),
    )  # (N, 1, S)
    weights = graph.op("Softmax", graph.op("Add", scores, padding), axis=-1)
    return graph.op("MatMul", weights, values)
