"""Language models of random weights, as versions of a repository: graphs, tokenizer, manifest."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import tokenizers
from onnx import TensorProto
from tokenizers import decoders, models

from export.graphs.builder import GraphBuilder, save_graphs
from export.graphs.layers import LayerBuilder
from export.graphs.states import add_states
from models.networks.gates import Matrix
from service.repository.manifest import (
    TOKENIZER,
    Condition,
    Graph,
    Limits,
    Manifest,
    Precision,
    SpecialIds,
    describe_file,
    write_manifest,
)

FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
PRECISIONS: tuple[Precision, ...] = ("fp32", "w8", "int8")
SPECIAL = ("<pad>", "<unk>", "<bos>", "<eos>")
PAD_ID, UNK_ID, BOS_ID, EOS_ID = range(4)
CHARACTERS = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJ.,!?'\n\u00e9\ud55c\uad6d\uc5b4"
MERGES = [("t", "h"), ("th", "e"), (" ", "the"), ("a", "n"), ("an", "d"), ("e", "r")]
NUM_LAYERS, NUM_UNITS, EMBEDDING_SIZE = 2, 20, 12
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
NEVER = -1e9


def make_tokenizer() -> tokenizers.Tokenizer:
    """Characters and some pieces of several; decoding gives the text back, white space and all."""
    pieces = [*SPECIAL, *CHARACTERS, *("".join(pair) for pair in MERGES)]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocabulary, MERGES, unk_token="<unk>"))
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def make_weights(cell: str, vocab_size: int, num_features: int) -> dict[str, Matrix]:
    random = np.random.default_rng(3)

    def draw(*shape: int, scale: float) -> Matrix:
        return random.normal(0.0, scale, shape).astype(np.float32)

    weights = {"embedding": draw(vocab_size, EMBEDDING_SIZE, scale=1.0)}
    num_rows = GATES[cell] * NUM_UNITS
    for layer, size in enumerate((EMBEDDING_SIZE, NUM_UNITS)):
        weights |= {
            f"{layer}.weight_ih_l0": draw(num_rows, size, scale=0.6),
            f"{layer}.weight_hh_l0": draw(num_rows, NUM_UNITS, scale=0.4),
            f"{layer}.bias_ih_l0": draw(num_rows, scale=0.3),
            f"{layer}.bias_hh_l0": draw(num_rows, scale=0.3),
        }
    weights["output"] = draw(vocab_size, NUM_UNITS, scale=1.5)
    weights["bias"] = draw(vocab_size, scale=0.5)
    weights["bias"][[PAD_ID, UNK_ID, BOS_ID]] = NEVER
    num_states = NUM_LAYERS * (2 if cell == "lstm" else 1)
    weights["condition"] = draw(num_states * NUM_UNITS, num_features, scale=1.0)
    return weights


def layer_weights(weights: dict[str, Matrix], layer: int) -> dict[str, Matrix]:
    prefix = f"{layer}."
    return {
        name.removeprefix(prefix): array
        for name, array in weights.items()
        if name.startswith(prefix)
    }


def name_states(cell: str) -> list[str]:
    return ["hidden", "cell"] if cell == "lstm" else ["hidden"]


def take_states(graph: GraphBuilder, cell: str, rows: str) -> list[list[str]]:
    """The graph's state inputs (L, rows, H), by kind and layer, each (1, rows, H)."""
    inputs = [graph.input(name, FLOAT, [NUM_LAYERS, rows, NUM_UNITS]) for name in name_states(cell)]
    return [graph.ops("Split", each, num_outputs=NUM_LAYERS, axis=0) for each in inputs]


def give_states(graph: GraphBuilder, cell: str, rows: str, states: list[list[str]]) -> None:
    """Names new states, given by layer and kind, as the graph's outputs."""
    for name, layers in zip(name_states(cell), zip(*states, strict=True), strict=True):
        joined = graph.op("Concat", *layers, axis=0)
        graph.output(joined, f"next_{name}", FLOAT, [NUM_LAYERS, rows, NUM_UNITS])


def build_prefill(weights: dict[str, Matrix], cell: str, precision: Precision) -> onnx.ModelProto:
    """In int8 the arithmetic is float32: DynamicQuantizeLSTM has one scale for a whole batch."""
    graph = GraphBuilder("prefill")
    layers = LayerBuilder(graph, "fp32" if precision == "fp32" else "w8")
    input_ids = graph.input("input_ids", INT64, ["N", "T"])
    lengths = graph.op("Cast", graph.input("lengths", INT64, ["N"]), to=INT32)
    states = take_states(graph, cell, "N")
    steps = graph.op("Transpose", input_ids, perm=[1, 0])
    outputs = layers.embed("embedding", steps, weights["embedding"])
    given = []
    for layer, before in enumerate(zip(*states, strict=True)):
        own = layer_weights(weights, layer)
        outputs, *after = layers.recurrent(f"{layer}", cell, outputs, [own], lengths, *before)
        outputs = graph.op("Squeeze", outputs, graph.ints(1))  # (T, N, H)
        given.append(after)
    give_states(graph, cell, "N", given)
    return graph.build()


def build_generator(weights: dict[str, Matrix], cell: str, precision: Precision) -> onnx.ModelProto:
    graph = GraphBuilder("generator")
    layers = LayerBuilder(graph, precision)
    token_ids = graph.input("token_ids", INT64, ["R"])
    parents = graph.input("parents", INT64, ["R"])
    states = [
        [graph.op("Gather", layer, parents, axis=1) for layer in kind]
        for kind in take_states(graph, cell, "P")
    ]
    embedded = layers.embed("embedding", token_ids, weights["embedding"])
    outputs = graph.op("Unsqueeze", embedded, graph.ints(0))  # (1, R, E)
    bound = float(np.abs(weights["embedding"]).max())
    given = []
    for layer, before in enumerate(zip(*states, strict=True)):
        own = layer_weights(weights, layer)
        after = layers.step(f"{layer}", cell, outputs, own, list(before), bound)
        outputs, bound = after[0], 1.0
        given.append(after)
    last = graph.op("Squeeze", outputs, graph.ints(0))
    logits = layers.linear("output", last, weights["output"], weights["bias"], bound=1.0)
    graph.output(logits, "logits", FLOAT, ["R", "V"])
    give_states(graph, cell, "R", given)
    return graph.build()


def build_conditioner(weights: dict[str, Matrix], cell: str) -> onnx.ModelProto:
    graph = GraphBuilder("conditioner")
    features = graph.input("features", FLOAT, ["N", weights["condition"].shape[1]])
    product = LayerBuilder(graph, "fp32").linear("condition", features, weights["condition"])
    states = graph.op("Reshape", graph.op("Tanh", product), graph.ints(0, -1, NUM_UNITS))
    states = graph.op("Transpose", states, perm=[1, 0, 2])
    names = name_states(cell)
    for name, part in zip(
        names, graph.ops("Split", states, num_outputs=len(names), axis=0), strict=True
    ):
        graph.output(part, name, FLOAT, [NUM_LAYERS, "N", NUM_UNITS])
    return graph.build()


def write_language_model(
    repository: Path,
    name: str,
    cell: str,
    condition: Condition | None = None,
    precisions: Sequence[Precision] = PRECISIONS,
) -> Path:
    """Writes version 1 of a model; returns its folder."""
    folder = repository / name / "1"
    folder.mkdir(parents=True)
    tokenizer = make_tokenizer()
    tokenizer.save(str(folder / TOKENIZER))
    weights = make_weights(cell, tokenizer.get_vocab_size(), condition.size if condition else 1)
    graphs: list[Graph] = []
    built: dict[str, onnx.ModelProto] = {}

    def add(role: str, precision: Precision, model: onnx.ModelProto) -> None:
        file = f"{role}.{precision}.onnx"
        fields = {"role": role, "precision": precision, "file": file}
        graphs.append(Graph.model_validate(fields))
        built[file] = model

    for precision in precisions:
        add("prefill", precision, build_prefill(weights, cell, precision))
        add("generator", precision, build_generator(weights, cell, precision))
        if condition:
            add("conditioner", precision, build_conditioner(weights, cell))
    save_graphs(built, folder)
    manifest = Manifest.model_validate(
        {
            "name": name,
            "version": "1",
            "task": "language",
            "cell": cell,
            "languages": ["en"],
            "condition": condition,
            "ids": SpecialIds(pad_id=PAD_ID, eos_id=EOS_ID, bos_id=BOS_ID),
            "limits": Limits(max_input_tokens=64, max_new_tokens=200),
            "opset": 17,
            "graphs": graphs,
            "files": [describe_file(path) for path in sorted(folder.iterdir())],
        }
    )
    write_manifest(add_states(manifest, folder), folder)
    return folder


def write_repository(repository: Path) -> None:
    """tiny-language-lstm continues texts, tiny-language-gru writes one by a label."""
    write_language_model(repository, "tiny-language-lstm", "lstm")
    labels = Condition(labels=("negative", "positive"))
    write_language_model(repository, "tiny-language-gru", "gru", labels)
