"""Greedy decoding in slots: its tokens are those of the service's search, wherever slots lie."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from export.graphs.builder import save_graphs
from export.graphs.slots import PADDING, build_slot_decoder, build_slot_join, name_states
from models.config import Cell
from service.arrays import Array, IntArray
from service.engine.batch import TokenSequence, pad_sequences
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.engine.search.decoder_session import STATES
from service.repository.manifest import Precision
from tests.export.conftest import TinyTranslator
from tests.service.engine.search.test_translator import make_sentence, translate

CELLS: list[Cell] = ["lstm", "gru", "rnn"]
CPU = Device("cpu")
MakeTranslator = Callable[[Cell], TinyTranslator]
Slots = dict[str, Array]


def slot_graphs(
    translator: TinyTranslator, precision: Precision = "fp32"
) -> dict[str, onnx.ModelProto]:
    model, cell = translator.model, translator.model.config.cell
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    forbidden_ids = [translator.start_id, translator.pad_id, 3, 4]
    steps = {
        f"steps_{count}": build_slot_decoder(
            weights, cell, forbidden_ids, translator.eos_id, precision, count
        )
        for count in (1, 8)
    }
    return {**steps, "join": build_slot_join(cell)}


class SlotTable:
    """R slots of S positions as plain arrays, and the graphs that change them."""

    def __init__(self, translator: TinyTranslator, folder: Path) -> None:
        save_graphs({f"{n}.onnx": graph for n, graph in slot_graphs(translator).items()}, folder)
        self.sessions = {
            path.stem: OnnxSession(path, CPU) for path in sorted(folder.glob("*.onnx"))
        }
        self.encoder = OnnxSession(translator.folder / "encoder.onnx", CPU)
        config = translator.model.config
        self.sizes = {"H": config.decoder_size, "A": config.attention_size, "M": config.memory_size}
        self.names = name_states(config.cell)
        self.translator = translator

    def empty(self, rows: int, width: int) -> Slots:
        sizes = self.sizes
        return {
            "token_ids": np.full(rows, self.translator.eos_id),
            "keys": np.zeros((rows, sizes["A"], width), np.float32),
            "values": np.zeros((rows, width, sizes["M"]), np.float32),
            "padding": np.full((rows, 1, width), PADDING, np.float32),
            **{name: np.zeros((rows, sizes["H"]), np.float32) for name in self.names},
        }

    def join(
        self, slots: Slots, sequences: Sequence[TokenSequence], sources: IntArray, width: int
    ) -> Slots:
        batch = pad_sequences(sequences, self.translator.pad_id)
        encoded = self.encoder.run(batch.feeds)
        longest, old_width = batch.input_ids.shape[1], slots["keys"].shape[2]
        is_token = np.arange(longest) < batch.lengths[:, None]
        kept = min(width, old_width)
        feeds = {
            **slots,
            "start_ids": np.array([sequence.start_id for sequence in sequences]),
            "new_keys": encoded["keys"],
            "new_values": encoded["values"],
            "new_padding": np.where(is_token, 0.0, PADDING).astype(np.float32)[:, None],
            **{name: encoded[name] for name in STATES if name in encoded},
            "sources": sources,
            "width": np.array([kept]),
            "added": np.array([width - kept]),
            "new_added": np.array([width - longest]),
        }
        return strip(self.sessions["join"].run(feeds))

    def step(self, slots: Slots, num_steps: int) -> tuple[Slots, Array, Array]:
        outputs = self.sessions[f"steps_{num_steps}"].run(slots)
        tokens, scores = outputs.pop("tokens"), outputs.pop("scores")
        return {**slots, **strip(outputs)}, tokens, scores


def strip(outputs: dict[str, Array]) -> Slots:
    return {name.removeprefix("next_"): array for name, array in outputs.items()}


def some_sequences(
    translator: TinyTranslator, seed: int, count: int, longest: int
) -> list[TokenSequence]:
    rng = random.Random(seed)
    low, high = translator.first_free_id, translator.model.config.vocab_size
    return [
        make_sentence((rng.randrange(low, high) for _ in range(rng.randint(1, longest))), 1, 24)
        for _ in range(count)
    ]


def search(
    translator: TinyTranslator, sequences: list[TokenSequence]
) -> list[tuple[list[int], float]]:
    results = translate(sequences, translator.make_runner())
    return [(result[0].token_ids, result[0].score) for result in results]


def cut(tokens: Array, eos_id: int) -> list[int]:
    row = tokens.tolist()
    return row[: row.index(eos_id)] if eos_id in row else row


@pytest.fixture
def make_table(tiny_translator: MakeTranslator, tmp_path: Path) -> Callable[[Cell], SlotTable]:
    return lambda cell: SlotTable(tiny_translator(cell), tmp_path)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_steps", [1, 8])
def test_slots_give_the_tokens_of_the_search(
    cell: Cell, num_steps: int, make_table: Callable[[Cell], SlotTable]
) -> None:
    table = make_table(cell)
    eos_id = table.translator.eos_id
    for seed in range(12):
        sequences = some_sequences(table.translator, seed, count=1 + 2 * seed, longest=32)
        expected = search(table.translator, sequences)
        rows = len(sequences)
        slots = table.join(table.empty(rows, 32), sequences, rows + np.arange(rows), 32)
        blocks = []
        for _ in range(24 // num_steps):
            slots, tokens, scores = table.step(slots, num_steps)
            blocks.append((tokens, scores))
        tokens, scores = (np.concatenate(parts, axis=1) for parts in zip(*blocks, strict=True))
        for row, (token_ids, score) in enumerate(expected):
            assert cut(tokens[row], eos_id)[: len(token_ids)] == token_ids
            steps = min(len(token_ids) + 1, 24)
            assert scores[row, :steps].mean() == pytest.approx(score, abs=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_eight_steps_are_eight_times_one(
    cell: Cell, make_table: Callable[[Cell], SlotTable]
) -> None:
    table = make_table(cell)
    for seed in range(20, 32):
        sequences = some_sequences(table.translator, seed, count=9, longest=16)
        slots = table.join(table.empty(9, 16), sequences, 9 + np.arange(9), 16)
        at_once, tokens, scores = table.step(slots, 8)
        single = []
        for _ in range(8):
            slots, *outputs = table.step(slots, 1)
            single.append(outputs)
        assert np.array_equal(tokens, np.concatenate([each[0] for each in single], axis=1))
        assert np.abs(scores - np.concatenate([each[1] for each in single], axis=1)).max() < 1e-4
        for name, array in slots.items():
            assert np.abs(at_once[name] - array).max() < 1e-4


def test_slot_that_has_ended_gives_nothing_but_eos(
    make_table: Callable[[Cell], SlotTable],
) -> None:
    table = make_table("lstm")
    eos_id = table.translator.eos_id
    sequences = some_sequences(table.translator, 3, count=30, longest=16)
    slots = table.join(table.empty(30, 16), sequences, 30 + np.arange(30), 16)
    blocks = [table.step(slots, 8)]
    blocks.append(table.step(blocks[0][0], 8))
    tokens, scores = (np.concatenate([block[i] for block in blocks], axis=1) for i in (1, 2))
    has_ended = np.cumsum(tokens == eos_id, axis=1) > 1
    assert 0 < has_ended[:, 8].sum() < 30  # some ended within the first call
    assert (tokens[has_ended] == eos_id).all()
    assert (scores[has_ended] == 0.0).all()
    assert (scores[~has_ended] < 0.0).mean() > 0.9  # of some tokens the model is certain


def test_empty_slots_are_finite(make_table: Callable[[Cell], SlotTable]) -> None:
    table = make_table("gru")
    slots, tokens, _ = table.step(table.empty(4, 16), 8)
    assert (tokens == table.translator.eos_id).all()
    assert all(np.isfinite(array).all() for array in slots.values())


class Bucket:
    """What lies in which slot; everything else about a join is drawn."""

    def __init__(self, table: SlotTable, seed: int) -> None:
        self.table, self.rng = table, np.random.default_rng(seed)
        self.slots = table.empty(4, 16)
        self.held: dict[int, TokenSequence] = {}
        self.found: dict[TokenSequence, list[int]] = {}

    def join(self, joining: list[TokenSequence]) -> None:
        """Moves all to slots drawn anew, in a bucket of another size."""
        old_rows = len(self.slots["token_ids"])
        before = [*self.held.items(), *enumerate(joining, start=old_rows)]
        rows, width = int(self.rng.choice([16, 24, 32])), int(self.rng.choice([16, 32, 64]))
        places = self.rng.permutation(rows)[: len(before)]
        sources = self.rng.integers(0, old_rows, rows)  # of the free slots: anything
        sources[places] = [source for source, _ in before]
        self.slots = self.table.join(self.slots, joining, sources, width)
        moved = [sequence for _, sequence in before]
        self.held = dict(zip(places.tolist(), moved, strict=True))

    def step(self, limit: int) -> None:
        """One call; those that have ended leave."""
        self.slots, tokens, _ = self.table.step(self.slots, int(self.rng.choice([1, 8])))
        for row, sequence in list(self.held.items()):
            found = self.found.setdefault(sequence, [])
            found += tokens[row].tolist()
            if len(found) >= limit or self.table.translator.eos_id in found:
                del self.held[row]


@pytest.mark.parametrize("cell", CELLS)
def test_sentences_join_leave_and_move_between_buckets(
    cell: Cell, make_table: Callable[[Cell], SlotTable]
) -> None:
    """A sentence's tokens are the same, whatever happens around it between two steps."""
    table = make_table(cell)
    for seed in range(40, 48):
        sequences = some_sequences(table.translator, seed, count=16, longest=14)
        expected = search(table.translator, sequences)
        bucket, waiting = Bucket(table, seed), list(sequences)
        while waiting or bucket.held:
            count = int(bucket.rng.integers(1, 4))
            joining, waiting = waiting[:count], waiting[count:]
            if joining:
                bucket.join(joining)
            bucket.step(limit=24)
        for sequence, (token_ids, _) in zip(sequences, expected, strict=True):
            found = cut(np.array(bucket.found[sequence]), table.translator.eos_id)
            assert found[: len(token_ids)] == token_ids


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("precision", ["fp32", "w8"])
def test_weights_are_constants_once_loaded(
    cell: Cell, precision: Precision, tiny_translator: MakeTranslator, tmp_path: Path
) -> None:
    """What depends on weights alone is computed at load, not at every step."""
    graphs = slot_graphs(tiny_translator(cell), precision)
    onnx.save(graphs["steps_1"], tmp_path / "raw.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(
        str(tmp_path / "raw.onnx"), options, providers=["CPUExecutionProvider"]
    )
    optimized = onnx.load(tmp_path / "optimized.onnx")
    constants = {tensor.name for tensor in optimized.graph.initializer}
    for node in optimized.graph.node:
        assert not set(filter(None, node.input)) <= constants, node.name


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("precision", ["fp32", "w8"])
def test_a_step_has_nothing_that_a_capture_forbids(
    cell: Cell, precision: Precision, tiny_translator: MakeTranslator
) -> None:
    forbidden = {"LSTM", "GRU", "RNN", "ScatterND", "TopK", "Shape", "Range", "If", "Loop", "Scan"}
    for name, graph in slot_graphs(tiny_translator(cell), precision).items():
        if name != "join":
            assert not forbidden & {node.op_type for node in graph.graph.node}


@pytest.mark.parametrize("cell", CELLS)
def test_slots_share_the_bytes_of_the_other_graphs(
    cell: Cell, tiny_translator: MakeTranslator, tmp_path: Path
) -> None:
    translator = tiny_translator(cell)
    alone = (translator.folder / "weights.bin").stat().st_size
    graphs = {path.name: onnx.load(path) for path in sorted(translator.folder.glob("*.onnx"))}
    save_graphs({**graphs, **slot_graphs(translator)}, tmp_path)
    added = (tmp_path / "weights.bin").stat().st_size - alone
    assert added < 0.05 * alone  # biases, which are summed here
