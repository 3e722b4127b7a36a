"""Builds the graphs of taggers: of whole texts, and one step of text as it comes in."""

import numpy as np
import onnx

from export.graphs.builder import GraphBuilder
from export.graphs.layers import LayerBuilder, Weights
from export.graphs.networks import (
    FLOAT,
    INT64,
    bound_outputs,
    embed_steps,
    encode_steps,
    length_mask,
    select,
)
from models.config import ModelConfig
from models.training.runs import Run
from service.repository.manifest import Precision, Role


def tagging_graphs(
    run: Run, weights: Weights, precision: Precision, linear_before_reset: int = 1
) -> dict[Role, onnx.ModelProto]:
    """The graphs of a tagger in one precision; with a step, if it labels text as it comes in."""
    config = run.config.model
    graph = GraphBuilder("tagger")
    layers = LayerBuilder(graph, precision, linear_before_reset)
    if config.lookahead is None:
        return {"tagger": build_tagger(layers, weights, config)}
    step = LayerBuilder(GraphBuilder("stream_tagger"), precision, linear_before_reset)
    return {
        "tagger": build_forward_tagger(layers, weights, config, config.lookahead),
        "stream_tagger": build_step(step, weights, config),
    }


def build_tagger(layers: LayerBuilder, weights: Weights, config: ModelConfig) -> onnx.ModelProto:
    """Builds the graph of `models.networks.tagger.Tagger`.

    Inputs input_ids (B, T) int64 and lengths (B) int64; output logits (B, T, C) float32, undefined
    at padding.
    """
    graph = layers.graph
    input_ids = graph.input("input_ids", INT64, ["B", "T"])
    lengths = graph.input("lengths", INT64, ["B"])
    embedded = embed_steps(layers, weights, input_ids)
    outputs, _ = encode_steps(layers, weights, config, embedded, lengths)  # (B, T, 2H)
    logits = label(layers, weights, outputs, bound_outputs(config))
    graph.output(logits, "logits", FLOAT, ["B", "T", "C"])
    return graph.build()


def build_forward_tagger(
    layers: LayerBuilder, weights: Weights, config: ModelConfig, lookahead: int
) -> onnx.ModelProto:
    """Builds the graph of `models.networks.tagger.StreamTagger`; see `build_tagger`."""
    graph = layers.graph
    input_ids = graph.input("input_ids", INT64, ["B", "T"])
    lengths = graph.input("lengths", INT64, ["B"])
    mask = graph.op("Cast", length_mask(graph, input_ids, lengths), to=FLOAT)  # (B, T)
    mask = graph.op("Unsqueeze", graph.op("Transpose", mask, perm=[1, 0]), graph.ints(2))
    embedded = graph.op("Mul", embed_steps(layers, weights, input_ids), mask)  # (T, B, E)
    outputs = graph.op("Pad", embedded, graph.ints(0, 0, 0, lookahead, 0, 0))
    for index in range(config.encoder_layers):
        part = select(weights, f"layers.{index}")
        every = layers.recurrent(f"layer.{index}", config.cell, outputs, [part])[0]
        outputs = graph.op("Squeeze", every, graph.ints(1))  # (T + lookahead, B, H)
    last = graph.ints(np.iinfo(np.int64).max)
    outputs = graph.op("Slice", outputs, graph.ints(lookahead), last, graph.ints(0))
    outputs = graph.op("Transpose", outputs, perm=[1, 0, 2])
    graph.output(label(layers, weights, outputs), "logits", FLOAT, ["B", "T", "C"])
    return graph.build()


def build_step(layers: LayerBuilder, weights: Weights, config: ModelConfig) -> onnx.ModelProto:
    """Builds the graph of one token of each of R texts; padding stands for what follows the end.

    Inputs token_ids (R) int64; parents (R) int64, the row of the states that each continues; hidden
    and, for lstm, cell (L, P, H) float32, zero before the first token. Outputs, float32: logits
    (R, C) of the token `lookahead` steps earlier, next_hidden and, for lstm, next_cell (L, R, H).
    """
    graph = layers.graph
    token_ids = graph.input("token_ids", INT64, ["R"])
    parents = graph.input("parents", INT64, ["R"])
    num_layers, size = config.encoder_layers, config.encoder_size
    names = ["hidden", "cell"] if config.cell == "lstm" else ["hidden"]
    states = [
        split_layers(graph, graph.input(name, FLOAT, [num_layers, "P", size]), parents, num_layers)
        for name in names
    ]
    matrix = weights["embedding.weight"]
    outputs = layers.embed("embedding", graph.op("Unsqueeze", token_ids, graph.ints(0)), matrix)
    bound = float(np.abs(matrix).max())
    following = []
    for index in range(num_layers):
        part = select(weights, f"layers.{index}")
        before = [layer[index] for layer in states]
        after = layers.step(f"layer.{index}", config.cell, outputs, part, before, bound)
        following.append(after)
        outputs, bound = after[0], 1.0
    logits = label(layers, weights, graph.op("Squeeze", outputs, graph.ints(0)))
    graph.output(logits, "logits", FLOAT, ["R", "C"])
    for place, name in enumerate(names):
        state = graph.op("Concat", *(after[place] for after in following), axis=0)  # (L, R, H)
        graph.output(state, f"next_{name}", FLOAT, [num_layers, "R", size])
    return graph.build()


def split_layers(graph: GraphBuilder, state: str, parents: str, num_layers: int) -> list[str]:
    """Reorders states (L, P, H) by parents, and splits them into layers, each (1, R, H)."""
    reordered = graph.op("Gather", state, parents, axis=1)
    return graph.ops("Split", reordered, num_outputs=num_layers, axis=0)


def label(layers: LayerBuilder, weights: Weights, outputs: str, bound: float = 1.0) -> str:
    """The logits of each token; with a bound, they do not depend on the rest of the batch."""
    return layers.linear("output", outputs, weights["output.weight"], weights["output.bias"], bound)
