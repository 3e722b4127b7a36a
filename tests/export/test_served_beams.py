"""Beam search in slots answers like the paged search, and keeps the rules of CUDA graphs."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.graphs.builder import save_graphs
from export.graphs.half import to_half
from export.graphs.placement import find_capture_hazards, find_misplaced
from export.graphs.slot_beams import Ranking, build_beams_join, build_slot_beams
from export.parity.check import ParityError
from export.publish import check_run, export_run
from loadtests.gpu.fake_device import FakeDevice, FakeSession
from models.config import Cell
from service.engine.batch import SearchOptions, TokenSequence
from service.engine.runner import run_sequences
from service.engine.runtime.binding import EAGER, OnnxBoundSession
from service.engine.runtime.device import Device
from service.engine.runtime.device_thread import CallersThread
from service.engine.runtime.session import OnnxSession
from service.engine.slots.buckets import Bucket
from service.engine.slots.session import Graphs, SlotSession
from service.engine.slots.translator import SlotGroup, SlotTranslatorRunner
from service.repository.loader import PREFERENCE, load_model
from service.repository.manifest import Precision
from service.repository.model import make_sequences
from tests.export.conftest import RunMaker, TinyTranslator
from tests.export.graphs.test_slots import MakeTranslator, some_sequences
from tests.export.test_served_slots import CELLS, assert_equal, expect
from tests.service.engine.search.test_translator import make_sentence, run_staggered, translate

CPU = Device("cpu")
BUCKETS = [Bucket(rows, width) for rows in (2, 8, 24) for width in (8, 40)]
BEAM_SIZES = (2, 3, 4)
NUM_STEPS = 4


@dataclass
class Served:
    """A runner whose beams are in slots of a device that refuses what CUDA would."""

    runner: SlotTranslatorRunner
    device: FakeDevice
    sessions: dict[int, FakeSession]

    @property
    def num_replays(self) -> int:
        return sum(count for graph_id, count in self.device.num_runs.items() if graph_id != EAGER)


MakeServed = Callable[[Cell], Served]


def beam_graphs(translator: TinyTranslator) -> dict[str, onnx.ModelProto]:
    model = translator.model
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    forbidden_ids = [translator.start_id, translator.pad_id, 3, 4]
    cell, eos_id = model.config.cell, translator.eos_id
    return {
        "join.onnx": build_beams_join(cell),
        **{
            f"beams_{size}.onnx": build_slot_beams(
                weights, cell, forbidden_ids, eos_id, "fp32", size, NUM_STEPS
            )
            for size in BEAM_SIZES
        },
    }


@pytest.fixture
def serve(tiny_translator: MakeTranslator, tmp_path: Path) -> MakeServed:
    def make(cell: Cell) -> Served:
        translator = tiny_translator(cell)
        save_graphs(beam_graphs(translator), tmp_path)
        device = FakeDevice()

        def open_graph(path: Path, *, can_capture: bool = False) -> FakeSession:
            bound = OnnxBoundSession(OnnxSession(path, CPU), CPU)
            return FakeSession(bound, device, can_capture=can_capture)

        encoder = open_graph(translator.folder / "encoder.onnx")
        join = open_graph(tmp_path / "join.onnx")
        sessions, groups = {}, {}
        for size in BEAM_SIZES:
            sessions[size] = open_graph(tmp_path / f"beams_{size}.onnx", can_capture=True)
            graphs = Graphs(encoder, join, {NUM_STEPS: sessions[size]})
            session = SlotSession(
                *(graphs, device, CallersThread(), BUCKETS), translator.pad_id, translator.eos_id
            )
            groups[size] = SlotGroup(session, BUCKETS, size, translator.eos_id)
        runner = SlotTranslatorRunner(groups, translator.make_runner(max_rows=128), 128)
        return Served(runner, device, sessions)

    return make


def with_beams(
    sequences: list[TokenSequence], rng: random.Random, sizes: tuple[int, ...] = BEAM_SIZES
) -> list[TokenSequence]:
    for sequence in sequences:
        sequence.search = SearchOptions(rng.choice(sizes), rng.randint(1, 30))
    return sequences


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("beam_size", BEAM_SIZES)
def test_answers_are_those_of_the_search(
    cell: Cell, beam_size: int, serve: MakeServed, tiny_translator: MakeTranslator
) -> None:
    """All hypotheses, their scores and why they ended, in their order."""
    translator, served = tiny_translator(cell), serve(cell)
    served.runner.capture()
    for seed in range(5):
        sequences = some_sequences(translator, seed, count=1 + 5 * seed, longest=40)
        with_beams(sequences, random.Random(seed), (beam_size,))
        expected = expect(translator, sequences)
        for found, wanted in zip(translate(sequences, served.runner), expected, strict=True):
            assert_equal(found, wanted)
    assert served.num_replays > 0


@pytest.mark.parametrize("seed", range(8))
def test_sentences_join_and_leave_at_any_step(
    seed: int, serve: MakeServed, tiny_translator: MakeTranslator
) -> None:
    """Beams of all sizes and greedy ones side by side; some are abandoned on the way."""
    cell = CELLS[seed % len(CELLS)]
    translator, served, rng = tiny_translator(cell), serve(cell), random.Random(seed)
    served.runner.capture()
    arrivals: dict[int, list[TokenSequence]] = {}
    sequences = some_sequences(translator, seed, count=50, longest=45)
    for sequence in with_beams(sequences, rng, (1, *BEAM_SIZES)):
        arrivals.setdefault(rng.choice([0, 0, rng.randrange(30)]), []).append(sequence)
    gone = rng.sample(sequences, 5)

    def leave(_: list[int]) -> None:
        for sequence in gone:
            sequence.is_abandoned = True

    first = next(iter(arrivals[min(arrivals)]))
    first.search, first.on_tokens = SearchOptions(1, 12), leave
    results = run_staggered(served.runner, arrivals)
    staying = [sequence for sequence in sequences if sequence in results]
    assert len(staying) >= len(sequences) - len(gone)
    for sequence, expected in zip(staying, expect(translator, staying), strict=True):
        assert_equal(results[sequence], expected)
    assert served.runner.num_running == 0


def test_ends_are_of_every_kind(serve: MakeServed, tiny_translator: MakeTranslator) -> None:
    translator, served = tiny_translator("rnn"), serve("rnn")
    sequences = some_sequences(translator, seed=9, count=60, longest=20)
    for number, sequence in enumerate(sequences):
        sequence.search = SearchOptions(2 + number % 3, (1, 7, 8, 9, 60)[number % 5])
    expected = expect(translator, sequences)
    found = translate(sequences, served.runner)
    for each, wanted in zip(found, expected, strict=True):
        assert_equal(each, wanted)
    defects = {one.defect for each in found for one in each}
    assert defects >= {None, "length"}


def test_host_copies_are_what_was_ranked_and_nothing_else(
    serve: MakeServed, tiny_translator: MakeTranslator
) -> None:
    """Per call three reads; nothing is written to the device between two joins."""
    served = serve("lstm")
    served.runner.capture()
    recorded = {size: dict(session.places) for size, session in served.sessions.items()}
    reads, writes, replays = (
        served.device.num_reads,
        served.device.num_writes,
        served.num_replays,
    )
    sequences = some_sequences(tiny_translator("lstm"), seed=3, count=20, longest=40)
    translate(with_beams(sequences, random.Random(1)), served.runner)
    assert served.device.num_reads - reads == 3 * (served.num_replays - replays)
    assert served.device.num_writes == writes
    assert {size: session.places for size, session in served.sessions.items()} == recorded


def test_what_slots_cannot_do_goes_to_the_pages(
    serve: MakeServed, tiny_translator: MakeTranslator
) -> None:
    translator, served = tiny_translator("lstm"), serve("lstm")
    told: list[int] = []
    streamed = make_sentence(range(5, 15), 3, 12)
    streamed.on_tokens = told.extend
    sequences = [
        make_sentence(range(5, 60), 2, 12),
        make_sentence(range(5, 15), 5, 12),
        make_sentence(range(5, 15), 3, 12, with_attention=True),
        streamed,
    ]
    expected = expect(translator, sequences)
    for found, wanted in zip(translate(sequences, served.runner), expected, strict=True):
        assert_equal(found, wanted)
    assert served.device.num_runs == {}
    assert told


def test_what_finds_no_free_slot_goes_to_the_pages(
    serve: MakeServed, tiny_translator: MakeTranslator
) -> None:
    translator, served = tiny_translator("gru"), serve("gru")
    sequences = some_sequences(translator, seed=2, count=40, longest=20)
    with_beams(sequences, random.Random(2), (2,))
    assert served.runner.groups[2].capacity == 24
    results = dict(served.runner.step(sequences))
    assert served.runner.paged.num_running >= 40 - 24 - len(results)
    while served.runner.num_running:
        results.update(served.runner.step([]))
    for sequence, wanted in zip(sequences, expect(translator, sequences), strict=True):
        found = results[sequence]
        assert isinstance(found, list)
        assert_equal(found, wanted)


@pytest.mark.parametrize("precision", PREFERENCE["cuda"])
@pytest.mark.parametrize("cell", CELLS)
def test_beams_stay_on_the_device(cell: Cell, precision: Precision, random_run: RunMaker) -> None:
    run = random_run("translation", cell)
    weights = {name: tensor.numpy() for name, tensor in run.model.state_dict().items()}
    built: Precision = "fp32" if precision == "fp16" else precision
    step = build_slot_beams(weights, cell, run.forbidden_ids, 2, built, 3, 2)
    join = build_beams_join(cell)
    if precision == "fp16":
        step, join = to_half(step), to_half(join)
    assert find_misplaced(step) == []
    assert find_misplaced(join) == []
    assert find_capture_hazards(step) == []


def test_sums_of_log_probabilities_stay_float32(random_run: RunMaker, tmp_path: Path) -> None:
    """float16 has steps of 0.25 at -400."""
    run = random_run("translation", "lstm")
    weights = {name: tensor.numpy() for name, tensor in run.model.state_dict().items()}
    in_full = build_slot_beams(weights, "lstm", run.forbidden_ids, 2, "fp32", 2, 1)
    save_graphs({"full.onnx": in_full, "half.onnx": to_half(in_full)}, tmp_path)
    session = OnnxSession(tmp_path / "full.onnx", CPU)
    rng, sizes = np.random.default_rng(4), {"R": 3, "S": 5}
    feeds = {
        name: rng.uniform(
            -1, 1, [sizes.get(str(axis), axis) for axis in session.input_shape(name)]
        ).astype(np.float32)
        for name in session.input_names
    }
    feeds |= {
        "token_ids": rng.integers(5, 50, (3, 2)),
        "first_rows": 2 * np.arange(3)[:, None],
        "totals": np.full((3, 2), -400.0, np.float32),
        "padding": np.zeros((3, 1, 5), np.float32),
    }
    full, half = (
        OnnxSession(tmp_path / f"{name}.onnx", CPU).run(feeds)["ranked_totals"]
        for name in ("full", "half")
    )
    assert np.abs(full + 400).max() > 1.0
    assert np.abs(full - half).max() < 0.05


def test_export_refuses_beams_that_mix_up_their_hypotheses(
    random_run: RunMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = Ranking.keep

    def keep_the_first(self: Ranking, tokens: str, parents: str, totals: str) -> list[str]:
        return keep(self, tokens, self._graph.op("Sub", parents, parents), totals)

    run = random_run("translation", "lstm")
    check_run(run, "fp16", CPU)
    monkeypatch.setattr(Ranking, "keep", keep_the_first)
    with pytest.raises(ParityError, match="in slots on cpu differs"):
        check_run(run, "fp16", CPU)


def test_exported_version_in_float16_searches_in_slots(
    tiny_run: Callable[[str, str], Path], tmp_path: Path
) -> None:
    folder = export_run(tiny_run("translation", "lstm"), tmp_path, ["fp16"])
    in_slots, in_pages = (load_model(folder, CPU, slots=slots) for slots in ("always", "never"))
    assert isinstance(in_slots.runner, SlotTranslatorRunner)
    texts = [f"A man {number} is riding" for number in range(30)]
    for beam_size in BEAM_SIZES:
        found, expected = (
            run_sequences(model.runner, make_sequences(model, texts, "ko", beam_size))
            for model in (in_slots, in_pages)
        )
        # both round to float16, in different orders
        equal = [a[0].token_ids == b[0].token_ids for a, b in zip(found, expected, strict=True)]
        assert np.mean(equal) >= 0.8
