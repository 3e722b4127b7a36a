"""Builds the graphs of beam search in slots: the ranking stays on the device, too.

A slot holds one sentence and its B hypotheses. Each step ranks their continuations, reorders the
states by the parents of the best, and goes on; the host is told what was ranked and keeps the
books: which hypotheses have ended, and when a sentence has enough. So K steps can be one call, and
a call one CUDA graph. See `export.graphs.slots` for what a slot and a captured step are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from export.graphs.builder import GraphBuilder
from export.graphs.cells import step_cell
from export.graphs.layers import LayerBuilder, Weights
from export.graphs.networks import FLOAT, INT64, NEVER, find_best, normalize, select
from export.graphs.slots import LAYERS, arrange_slots, name_states
from models.networks.gates import Matrix
from service.repository.manifest import Precision

BEAM_SHAPES: dict[str, list[str | int]] = {
    "token_ids": ["R", "B"],
    "totals": ["R", "B"],
    "keys": ["R", "A", "S"],
    "values": ["R", "S", "M"],
    "padding": ["R", 1, "S"],
}
"""Of what a slot holds; states are (R, B, H)."""


def build_slot_beams(
    weights: Weights,
    cell: str,
    forbidden_ids: Sequence[int],
    eos_id: int,
    precision: Precision,
    beam_size: int,
    num_steps: int,
) -> onnx.ModelProto:
    """Builds the graph of K steps of beam search over R slots, B hypotheses each.

    Inputs:
        token_ids (R, B) int64: the last token of each hypothesis, at first the start token.
        totals (R, B) float32: sums of log-probabilities; at first 0, and -1e9 for all but the first
            hypothesis.
        first_rows (R, 1) int64: B times the number of the slot.
        keys (R, A, S), values (R, S, M), padding (R, 1, S): as in `build_slot_decoder`.
        hidden_0, hidden_1, and cell_0, cell_1 for lstm (R, B, H) float32.

    Outputs:
        tokens, parents (R, K, W) int64, ranked_totals (R, K, W) float32: of each step the W = 2 B
            best continuations, best first: next token, which hypothesis it continues, and sum. The
            first B that are not eos are the hypotheses of the next step.
        next_token_ids, next_totals, next_hidden_0...: what the next call takes.
    """
    graph = GraphBuilder(f"slot_beams_{beam_size}")
    layers = LayerBuilder(graph, precision)
    attention_size, hidden_size, memory_size = find_sizes(weights)
    token_ids = graph.input("token_ids", INT64, ["R", beam_size])
    totals = graph.input("totals", FLOAT, ["R", beam_size])
    first_rows = graph.input("first_rows", INT64, ["R", 1])
    memory = [
        graph.input("keys", FLOAT, ["R", attention_size, "S"]),
        graph.input("values", FLOAT, ["R", "S", memory_size]),
        graph.input("padding", FLOAT, ["R", 1, "S"]),
    ]
    names = name_states(cell)
    shape: list[str | int] = ["R", beam_size, hidden_size]
    inputs = [graph.input(name, FLOAT, shape) for name in names]
    states = [graph.op("Reshape", state, graph.ints(-1, hidden_size)) for state in inputs]
    bias = weights["output_bias"].copy()
    bias[list(forbidden_ids)] = NEVER
    step = Step(layers, weights, cell, beam_size, bias)
    ranking = Ranking(graph, beam_size, len(bias), eos_id)
    found: list[tuple[str, str, str]] = []
    for _ in range(num_steps):
        flat_ids = graph.op("Reshape", token_ids, graph.ints(-1))
        logits, states = step.run(flat_ids, states, memory)
        found.append(ranking.rank(logits, totals))
        token_ids, parents, totals = ranking.keep(*found[-1])
        rows = graph.op("Reshape", graph.op("Add", first_rows, parents), graph.ints(-1))
        states = [graph.op("Gather", state, rows, axis=0) for state in states]

    outputs = {"tokens": INT64, "parents": INT64, "ranked_totals": FLOAT}
    for (name, dtype), steps in zip(outputs.items(), zip(*found, strict=True), strict=True):
        stacked = [graph.op("Unsqueeze", step, graph.ints(1)) for step in steps]
        value = graph.op("Concat", *stacked, axis=1)
        graph.output(value, name, dtype, ["R", num_steps, ranking.width])
    graph.output(token_ids, "next_token_ids", INT64, ["R", beam_size])
    graph.output(totals, "next_totals", FLOAT, ["R", beam_size])
    for name, state in zip(names, states, strict=True):
        shaped = graph.op("Reshape", state, graph.ints(-1, beam_size, hidden_size))
        graph.output(shaped, f"next_{name}", FLOAT, shape)
    return graph.build()


def find_sizes(weights: Weights) -> tuple[int, int, int]:
    """A, H and M, by which the engine allocates its buffers."""
    attention_size, hidden_size = weights["decoder.attention.query.weight"].shape
    return attention_size, hidden_size, weights["decoder.readout.weight"].shape[1] - hidden_size


@dataclass(frozen=True)
class Step:
    """One step of the decoder over all hypotheses of all slots.

    Attributes:
        bias: of the output layer (V).
    """

    layers: LayerBuilder
    weights: Weights
    cell: str
    beam_size: int
    bias: Matrix

    def run(
        self, token_ids: str, states: list[str], memory: Sequence[str]
    ) -> tuple[str, list[str]]:
        """Tokens (R * B) and states (R * B, H) -> logits (R * B, V) and the states after them."""
        layers, graph, cell = self.layers, self.layers.graph, self.cell
        embedding, decoder = self.weights["embedding.weight"], select(self.weights, "decoder")
        per_layer = len(states) // len(LAYERS)
        embedded = layers.embed("embedding", token_ids, embedding)
        bottom = step_cell(
            layers, "bottom", cell, embedded, select(decoder, "bottom"), states[:per_layer]
        )
        context = self._attend(decoder, bottom[0], memory)
        top_inputs = graph.op("Concat", bottom[0], context, axis=1)
        top = step_cell(layers, "top", cell, top_inputs, select(decoder, "top"), states[per_layer:])
        features = graph.op("Concat", top[0], context, axis=1)
        product = layers.linear(
            "readout", features, decoder["readout.weight"], decoder["readout.bias"]
        )
        readout = graph.op("Tanh", product)
        return layers.linear("output", readout, embedding, self.bias), bottom + top

    def _attend(self, decoder: Weights, queries: str, memory: Sequence[str]) -> str:
        """Applies the cosine attention to slots, B queries each: (R * B, H) -> (R * B, M)."""
        layers, graph = self.layers, self.layers.graph
        attention_size, _, memory_size = find_sizes(self.weights)
        keys, values, padding = memory
        query = normalize(graph, layers.linear("query", queries, decoder["attention.query.weight"]))
        sharpness = graph.weight("attention.sharpness", decoder["attention.sharpness"])
        scaled = graph.op("Mul", query, sharpness)
        query = graph.op("Reshape", scaled, graph.ints(-1, self.beam_size, attention_size))
        scores = graph.op("Add", graph.op("MatMul", query, keys), padding)  # (R, B, S)
        shares = graph.op("Softmax", scores, axis=-1)
        return graph.op("Reshape", graph.op("MatMul", shares, values), graph.ints(-1, memory_size))


class Ranking:
    """Chooses the best continuations of the hypotheses of each slot, as the search on the host.

    Args:
        graph: under construction.
        beam_size: B.
        vocab_size: V.
        eos_id: ends a hypothesis.
    """

    def __init__(self, graph: GraphBuilder, beam_size: int, vocab_size: int, eos_id: int) -> None:
        self._graph, self._beam_size, self._vocab_size = graph, beam_size, vocab_size
        self._eos = graph.weight("eos", np.array(eos_id, np.int64))
        # one may be eos, and all hypotheses must go on
        self._num_candidates = beam_size + 1
        # each hypothesis can give eos only once, so at least half of these go on
        self.width = 2 * beam_size

    def rank(self, logits: str, totals: str) -> tuple[str, str, str]:
        """Logits (R * B, V) and totals (R, B) -> tokens, parents and totals (R, W), best first."""
        graph, count = self._graph, self._num_candidates
        flat = graph.ints(-1, self._beam_size * count)
        candidates = find_best(graph, logits, self._vocab_size, graph.ints(count))  # (R * B, K)
        scores = graph.op(
            "GatherElements", graph.op("LogSoftmax", logits, axis=-1), candidates, axis=-1
        )
        by_hypothesis = graph.op("Reshape", scores, graph.ints(-1, self._beam_size, count))
        sums = graph.op("Add", graph.op("Unsqueeze", totals, graph.ints(2)), by_hypothesis)
        best, places = graph.ops(
            "TopK", graph.op("Reshape", sums, flat), graph.ints(self.width), num_outputs=2, axis=-1
        )
        tokens = graph.op("GatherElements", graph.op("Reshape", candidates, flat), places, axis=1)
        return tokens, graph.op("Div", places, graph.ints(count)), best

    def keep(self, tokens: str, parents: str, totals: str) -> list[str]:
        """The first B of W continuations that are not eos: their tokens, parents, totals (R, B)."""
        graph = self._graph
        ranks = np.arange(self.width, dtype=np.float32)
        is_eos = graph.op("Equal", tokens, self._eos)
        order = graph.op(
            "Where",
            is_eos,
            graph.weight("ranks_of_eos", -ranks - self.width),
            graph.weight("ranks", -ranks),
        )
        kept = graph.ops("TopK", order, graph.ints(self._beam_size), num_outputs=2, axis=-1)[1]
        return [
            graph.op("GatherElements", each, kept, axis=1) for each in (tokens, parents, totals)
        ]


def build_beams_join(cell: str) -> onnx.ModelProto:
    """Builds the graph that arranges slots of any beam size anew; see `build_slot_join`.

    Inputs: as there, but token_ids (P, B), start_ids (N, B) and the states (P, B, H); and totals
    (P, B), new_totals (N, B) float32, beams (B) int64, zeros.
    """
    graph = GraphBuilder("slot_join_beams")
    names = name_states(cell)
    beams = graph.input("beams", INT64, ["B"])

    def spread(state: str) -> str:
        """(N, H) -> (N, B, H): all hypotheses of a sentence start alike."""
        return graph.op("Gather", graph.op("Unsqueeze", state, graph.ints(1)), beams, axis=1)

    shapes = BEAM_SHAPES | {name: ["R", "B", "H"] for name in names}
    arrange_slots(graph, shapes, names, spread)
    return graph.build()
