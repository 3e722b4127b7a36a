"""Builds the graphs of our models: classifier, encoder, and one decoder step with top-k."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto

from export.graphs.builder import GraphBuilder
from export.graphs.layers import LayerBuilder, Weights
from models.config import ModelConfig
from models.networks.gates import Matrix
from models.networks.seq2seq import EMBEDDING_SCALE
from service.repository.manifest import Precision

FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
NEVER = -1e9
# exp(sharpness), summed over the longest source, is within float32
MAX_SHARPNESS = 75.0
# about the square root of a vocabulary, which balances the number of blocks and their size
BLOCK_SIZE = 100
BLOCK_SIZES = range(BLOCK_SIZE // 4, 4 * BLOCK_SIZE)


def select(weights: Weights, prefix: str) -> dict[str, Matrix]:
    """Selects the weights of one torch module, and strips its prefix."""
    return {
        name[len(prefix) + 1 :]: array
        for name, array in weights.items()
        if name.startswith(prefix + ".")
    }


def build_classifier(
    weights: Weights, config: ModelConfig, precision: Precision, linear_before_reset: int = 1
) -> onnx.ModelProto:
    """Builds the graph of `models.networks.classifier.Classifier`.

    Inputs input_ids (B, T) int64 and lengths (B) int64; output logits (B, C) float32.
    """
    graph = GraphBuilder("classifier")
    layers = LayerBuilder(graph, precision, linear_before_reset)
    input_ids = graph.input("input_ids", INT64, ["B", "T"])
    lengths = graph.input("lengths", INT64, ["B"])
    embedded = embed_steps(layers, weights, input_ids)
    outputs, _ = encode_steps(layers, weights, config, embedded, lengths)  # (B, T, 2H)
    counts = graph.op("Unsqueeze", graph.op("Cast", lengths, to=FLOAT), graph.ints(1))  # (B, 1)
    mean = graph.op("Div", graph.op("ReduceSum", outputs, graph.ints(1), keepdims=0), counts)
    sunk = sink_padding(graph, outputs, length_mask(graph, input_ids, lengths))
    peak = graph.op("ReduceMax", sunk, axes=[1], keepdims=0)
    pooled = graph.op("Concat", mean, peak, axis=-1)  # (B, 4H)
    logits = layers.linear("output", pooled, weights["output.weight"], weights["output.bias"])
    graph.output(logits, "logits", FLOAT, ["B", "C"])
    return graph.build()


def build_encoder(
    weights: Weights, config: ModelConfig, precision: Precision, linear_before_reset: int = 1
) -> onnx.ModelProto:
    """Builds the graph of `models.networks.seq2seq.Seq2Seq.encode`.

    Inputs input_ids (N, S) int64 and lengths (N) int64. Outputs, all float32: keys (N, A, S),
    values (N, S, M), and the decoder's first state, hidden (2, N, H) and, for lstm, cell (2, N, H).
    Keys and values at padding are undefined.
    """
    graph = GraphBuilder("encoder")
    layers = LayerBuilder(graph, precision, linear_before_reset)
    input_ids = graph.input("input_ids", INT64, ["N", "S"])
    lengths = graph.input("lengths", INT64, ["N"])
    memory = encode_memory(layers, weights, config, input_ids, lengths)
    keys = graph.op("Transpose", memory.keys, perm=[0, 2, 1])
    graph.output(keys, "keys", FLOAT, ["N", "A", "S"])
    graph.output(memory.values, "values", FLOAT, ["N", "S", "M"])
    for name, part in zip(("hidden", "cell"), memory.states, strict=False):
        graph.output(part, name, FLOAT, [2, "N", "H"])
    return graph.build()


class Memory(NamedTuple):
    """What the decoder has of encoded texts.

    Attributes:
        keys: (N, S, A).
        values: (N, S, M).
        states: its first ones, hidden and, for lstm, cell, each (2, N, H).
    """

    keys: str
    values: str
    states: list[str]


def encode_memory(
    layers: LayerBuilder, weights: Weights, config: ModelConfig, input_ids: str, lengths: str
) -> Memory:
    """Encodes ids (N, S) of lengths (N); keys and values at padding are undefined."""
    graph = layers.graph
    embedded = embed_steps(layers, weights, input_ids)
    outputs, final_states = encode_steps(layers, weights, config, embedded, lengths)
    words = graph.op(  # (N, S, E), scaled as in the memory
        "Mul",
        graph.op("Transpose", embedded, perm=[1, 0, 2]),
        graph.weight("embedding.scale", np.array(EMBEDDING_SCALE, np.float32)),
    )
    values = graph.op("Concat", outputs, words, axis=-1)
    decoder = select(weights, "decoder")
    keys = normalize(graph, layers.linear("key", values, decoder["attention.key.weight"]))
    bridge = graph.op(
        "Tanh",
        layers.linear("bridge", final_states, decoder["bridge.weight"], decoder["bridge.bias"]),
    )
    num_states = 2 if config.cell == "lstm" else 1
    hidden_size = decoder["bridge.weight"].shape[0] // (2 * num_states)
    states = graph.op("Reshape", bridge, graph.ints(0, -1, hidden_size))  # (N, 2 or 4, H)
    states = graph.op("Transpose", states, perm=[1, 0, 2])
    parts = graph.ops("Split", states, num_outputs=num_states, axis=0)
    return Memory(keys, values, parts)


def build_decoder(
    weights: Weights,
    config: ModelConfig,
    forbidden_ids: Sequence[int],
    precision: Precision,
    linear_before_reset: int = 1,
    *,
    is_writer: bool = False,
) -> onnx.ModelProto:
    """Builds the graph of one decoder step over R hypotheses, which read G pages of memory.

    A writer gives the logits of all tokens, to draw from, in place of the best ones and the
    attention.

    A page holds up to W positions of one sentence, and a sentence has as many pages as it needs, so
    that attention over a short sentence does not run over the padding of a longer one.

    Inputs:
        token_ids (R) int64: last token of each hypothesis, at first the start token.
        parents (R) int64: row of `hidden` and `cell` that each continues; beams reorder by it.
        rows (G, B) int64: the hypotheses that read each page; R if there are fewer than B.
        hidden, and cell for lstm (2, P, H) float32: states after the step before.
        keys (G, A, W), values (G, W, M + 1) float32: outputs of the encoder, values with a last
            column of ones; zero in the unused part of a page.
        num_candidates (1) int64: K; not of a writer.

    Outputs:
        logits (R, V) float32: of a writer; -1e9 at `forbidden_ids`.
        scores (R, K) float32: log-probabilities of the best next tokens, best first.
        candidates (R, K) int64: their ids, never `forbidden_ids`. next_hidden, next_cell (2, R, H)
        float32. attention (G, B, W) float32: weights; undefined beyond the end of a sentence and
        for row R.

    Raises:
        ValueError: the sharpness of the attention is out of bounds.
    """
    graph = GraphBuilder("writer" if is_writer else "decoder")
    layers = LayerBuilder(graph, precision, linear_before_reset)
    decoder, cell = select(weights, "decoder"), config.cell
    token_ids = graph.input("token_ids", INT64, ["R"])
    parents = graph.input("parents", INT64, ["R"])
    rows = graph.input("rows", INT64, ["G", "B"])
    state_names = ["hidden", "cell"] if cell == "lstm" else ["hidden"]
    states = [
        _layer_states(graph, graph.input(name, FLOAT, [2, "P", "H"]), parents)
        for name in state_names
    ]
    keys = graph.input("keys", FLOAT, ["G", "A", "W"])
    values = graph.input("values", FLOAT, ["G", "W", "M + 1"])

    embedded = layers.embed(
        "embedding", graph.op("Unsqueeze", token_ids, graph.ints(0)), weights["embedding.weight"]
    )
    bound = bound_inputs(weights, config)
    bottom = layers.step(
        "bottom",
        cell,
        embedded,
        select(decoder, "bottom"),
        [layer[0] for layer in states],
        bound_words(weights),
    )
    context, attention = _attend(layers, decoder, bottom[0], rows, keys, values)
    top_inputs = graph.op("Concat", bottom[0], context, axis=-1)  # (1, R, H + M)
    top = layers.step(
        "top", cell, top_inputs, select(decoder, "top"), [layer[1] for layer in states], bound
    )
    features = graph.op(
        "Squeeze", graph.op("Concat", top[0], context, axis=-1), graph.ints(0)
    )  # (R, H + M)
    bias = weights["output_bias"].copy()
    bias[list(forbidden_ids)] = NEVER
    logits = find_logits(layers, weights, features, bias, bound)  # (R, V)
    if is_writer:
        graph.output(logits, "logits", FLOAT, ["R", "V"])
    else:
        num_candidates = graph.input("num_candidates", INT64, [1])
        candidates = find_best(graph, logits, len(bias), num_candidates)
        scores = graph.op(
            "GatherElements", graph.op("LogSoftmax", logits, axis=-1), candidates, axis=-1
        )
        graph.output(scores, "scores", FLOAT, ["R", "K"])
        graph.output(candidates, "candidates", INT64, ["R", "K"])
        graph.output(attention, "attention", FLOAT, ["G", "B", "W"])
    for index, name in enumerate(state_names):
        state = graph.op("Concat", bottom[index], top[index], axis=0)  # (2, R, H)
        graph.output(state, f"next_{name}", FLOAT, [2, "R", "H"])
    return graph.build()


def bound_words(weights: Weights) -> float:
    """The largest magnitude of an embedded token."""
    return float(np.abs(weights["embedding.weight"]).max())


def bound_outputs(config: ModelConfig) -> float:
    """The largest magnitude of the encoder's outputs; hidden states are below 1."""
    return float(config.encoder_layers if config.residual else 1)


def bound_inputs(weights: Weights, config: ModelConfig) -> float:
    """The largest magnitude of what the decoder's upper layers read.

    A context is a mean of the encoder's outputs and of words.
    """
    return max(bound_outputs(config), EMBEDDING_SCALE * bound_words(weights))


def find_logits(
    layers: LayerBuilder, weights: Weights, features: str, bias: Matrix, bound: float
) -> str:
    """The logits (..., V) of features (..., H + M) that are up to `bound`, and a bias (V)."""
    decoder = select(weights, "decoder")
    products = layers.linear(
        "readout", features, decoder["readout.weight"], decoder["readout.bias"], bound
    )
    readout = layers.graph.op("Tanh", products)
    return layers.linear("output", readout, weights["embedding.weight"], bias, bound=1.0)


def check_sharpness(decoder: Mapping[str, Matrix]) -> Matrix:
    """The sharpness of the attention.

    Raises:
        ValueError: sums of exponentials could overflow.
    """
    sharpness = decoder["attention.sharpness"]
    if not abs(float(sharpness)) <= MAX_SHARPNESS:
        raise ValueError(
            f"the sharpness of the attention is {float(sharpness):.1f}; beyond {MAX_SHARPNESS} the "
            "sums of the graph would overflow"
        )
    return sharpness


def embed_steps(layers: LayerBuilder, weights: Weights, input_ids: str) -> str:
    """Embeds ids (B, T) -> (T, B, E), time first, as the recurrent operators require."""
    steps = layers.graph.op("Transpose", input_ids, perm=[1, 0])
    return layers.embed("embedding", steps, weights["embedding.weight"])


def normalize(graph: GraphBuilder, vectors: str) -> str:
    """Normalizes vectors along the last axis, like torch's `normalize`."""
    norms = graph.op("ReduceL2", vectors, axes=[-1], keepdims=1)
    return graph.op(
        "Div", vectors, graph.op("Max", norms, graph.weight("tiny", np.array(1e-12, np.float32)))
    )


def encode_steps(
    layers: LayerBuilder, weights: Weights, config: ModelConfig, embedded: str, lengths: str
) -> tuple[str, str]:
    """Encodes (T, B, E): outputs (B, T, 2H), zero beyond each length, final states (B, 2H)."""
    graph = layers.graph
    inputs, outputs, final = embedded, "", ""  # outputs: (T, 2, B, H)
    lengths32 = graph.op("Cast", lengths, to=INT32)
    for index in range(config.encoder_layers):
        prefix = f"encoder.layers.{index}"
        directions: list[Weights] = [
            select(weights, f"{prefix}.{way}_layer") for way in ("forward", "backward")
        ]
        if index:
            turned = graph.op("Transpose", outputs, perm=[0, 2, 1, 3])  # (T, B, 2, H)
            inputs = graph.op("Reshape", turned, graph.ints(0, 0, -1))  # (T, B, 2H)
            if norm := select(weights, f"encoder.norms.{index - 1}"):
                inputs = layers.norm(f"encoder.{index}.norm", inputs, norm)
        new, last, *_ = layers.recurrent(
            f"encoder.{index}", config.cell, inputs, directions, lengths32
        )
        adds = config.residual and index > 0
        outputs = graph.op("Add", outputs, new) if adds else new
        final = graph.op("Add", final, last) if adds else last
    final = graph.op(
        "Reshape", graph.op("Transpose", final, perm=[1, 0, 2]), graph.ints(0, -1)
    )  # (B, 2H)
    outputs = graph.op("Transpose", outputs, perm=[2, 0, 1, 3])  # (B, T, 2, H)
    return graph.op("Reshape", outputs, graph.ints(0, 0, -1)), final


def sink_padding(graph: GraphBuilder, outputs: str, mask: str) -> str:
    """Puts outputs (B, T, 2H) that are zero beyond a mask (B, T) below all others there.

    onnxruntime takes two to four times as long to choose by a mask (B, T, 1) as to add one.
    """
    lowest = graph.weight("lowest", np.array(np.finfo(np.float32).min, dtype=np.float32))
    nothing = graph.weight("nothing", np.array(0.0, dtype=np.float32))
    steps = graph.op("Unsqueeze", mask, graph.ints(2))  # (B, T, 1)
    return graph.op("Add", outputs, graph.op("Where", steps, nothing, lowest))


def length_mask(graph: GraphBuilder, input_ids: str, lengths: str) -> str:
    """Masks padding: (B, T) bool, True at tokens."""
    zero, one = (
        graph.weight("zero", np.array(0, np.int64)),
        graph.weight("one", np.array(1, np.int64)),
    )
    max_length = graph.op("Squeeze", graph.op("Shape", input_ids, start=1, end=2), graph.ints(0))
    return graph.op(
        "Less",
        graph.op("Unsqueeze", graph.op("Range", zero, max_length, one), graph.ints(0)),
        graph.op("Unsqueeze", lengths, graph.ints(1)),
    )


def _layer_states(graph: GraphBuilder, state: str, parents: str) -> list[str]:
    """Reorders states (2, P, H) by parents and splits them into two layers, each (1, R, H)."""
    return graph.ops("Split", graph.op("Gather", state, parents, axis=1), num_outputs=2, axis=0)


def _attend(
    layers: LayerBuilder,
    decoder: Mapping[str, Matrix],
    queries: str,
    rows: str,
    keys: str,
    values: str,
) -> tuple[str, str]:
    """Applies the cosine attention of `models.networks.attention` to pages.

    Returns context (1, R, M) and weights (G, B, W).

    Each page is weighed separately, and the results of a sentence's pages are summed. A softmax
    would first need the largest score of all pages; cosines times the sharpness are bounded, so
    that their exponentials can be summed directly. The last column of the values sums the weights
    of tokens only, so that the rest of a page needs no mask.
    """
    graph = layers.graph
    sharpness = check_sharpness(decoder)
    attention_size, query_size = decoder["attention.query.weight"].shape
    memory_size = decoder["readout.weight"].shape[1] - query_size
    query = layers.linear("query", queries, decoder["attention.query.weight"], bound=1.0)
    query = graph.op("Squeeze", normalize(graph, query), graph.ints(0))  # (R, A)
    # reads the unused places of a page; exported graphs know it by this name
    no_query = graph.weight("nobody", np.zeros((1, attention_size), np.float32))
    query = graph.op(
        "Gather", graph.op("Concat", query, no_query, axis=0), rows, axis=0
    )  # (G, B, A)
    scores = graph.op(
        "Mul", graph.op("MatMul", query, keys), graph.weight("attention.sharpness", sharpness)
    )
    weights = graph.op("Exp", scores)  # (G, B, W)
    num_rows = graph.op("Add", graph.op("Shape", queries, start=1, end=2), graph.ints(1))
    sums = graph.op(
        "ScatterND",
        graph.op(
            "ConstantOfShape", graph.op("Concat", num_rows, graph.ints(memory_size + 1), axis=0)
        ),
        graph.op("Unsqueeze", rows, graph.ints(2)),
        graph.op("MatMul", weights, values),
        reduction="add",
    )  # (R + 1, M + 1)
    start, middle, end = graph.ints(0), graph.ints(memory_size), graph.ints(memory_size + 1)
    totals = graph.op("Slice", sums, middle, end, graph.ints(1))
    contexts = graph.op(
        "Div",
        graph.op("Slice", sums, graph.ints(0, 0), graph.ints(-1, memory_size)),
        graph.op("Slice", totals, start, graph.ints(-1)),
    )
    shares = graph.op("Div", weights, graph.op("Gather", totals, rows, axis=0))
    return graph.op("Unsqueeze", contexts, graph.ints(0)), shares


def find_best(graph: GraphBuilder, logits: str, vocab_size: int, num_candidates: str) -> str:
    """Finds the ids of the best tokens (R, K), best first, like TopK over the logits (R, V).

    The K best tokens are in the K blocks with the highest maxima. Block maxima are vectorised, and
    TopK then runs on the maxima and on K blocks only: three times faster.
    """
    sizes = [size for size in BLOCK_SIZES if vocab_size % size == 0]
    if not sizes:
        return graph.ops("TopK", logits, num_candidates, num_outputs=2, axis=-1)[1]
    size = min(sizes, key=lambda size: abs(size - BLOCK_SIZE))
    blocks = graph.op("Reshape", logits, graph.ints(0, -1, size))  # (R, V / size, size)
    peaks = graph.op("ReduceMax", blocks, axes=[-1], keepdims=0)
    num_blocks = graph.op("Min", num_candidates, graph.ints(vocab_size // size))
    best = graph.ops("TopK", peaks, num_blocks, num_outputs=2, axis=-1)[1]
    first = graph.op("Unsqueeze", graph.op("Mul", best, graph.ints(size)), graph.ints(2))
    within = graph.weight("block", np.arange(size, dtype=np.int64))
    token_ids = graph.op("Reshape", graph.op("Add", first, within), graph.ints(0, -1))
    candidates = graph.op("GatherElements", logits, token_ids, axis=-1)  # (R, K * size)
    places = graph.ops("TopK", candidates, num_candidates, num_outputs=2, axis=-1)[1]
    return graph.op("GatherElements", token_ids, places, axis=-1)
