"""Decoding in slots answers like the paged search, and keeps the rules of CUDA graphs."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from export.graphs.builder import save_graphs
from export.publish import export_run
from loadtests.gpu.fake_device import FakeDevice, FakeSession, RuleError
from models.config import Cell
from service.engine.batch import Hypothesis, SearchOptions, TokenSequence
from service.engine.runner import run_sequences
from service.engine.runtime.binding import EAGER, OnnxBoundSession, OnnxMemory
from service.engine.runtime.device import Device, resolve_device
from service.engine.runtime.device_thread import CallersThread, DeviceThread, OwnThread
from service.engine.runtime.session import OnnxSession
from service.engine.search.translator import TranslatorRunner
from service.engine.slots.buckets import Bucket
from service.engine.slots.session import Graphs, SlotSession
from service.engine.slots.translator import SlotGroup, SlotTranslatorRunner
from service.repository.goldens import check_goldens
from service.repository.loader import load_model
from service.repository.model import make_sequences
from tests.export.conftest import TinyTranslator
from tests.export.graphs.test_slots import MakeTranslator, slot_graphs, some_sequences
from tests.service.engine.search.test_translator import (
    assert_same,
    copy_sequence,
    make_sentence,
    run_staggered,
    translate,
)
from tests.threads import call_elsewhere

CELLS: list[Cell] = ["lstm", "gru", "rnn"]
CPU = Device("cpu")
BUCKETS = [Bucket(rows, width) for rows in (2, 8, 128) for width in (8, 40)]


@dataclass
class Served:
    """A runner in slots over a device that refuses what CUDA would."""

    runner: SlotTranslatorRunner
    device: FakeDevice
    sessions: dict[int, FakeSession]


MakeServed = Callable[..., Served]


@pytest.fixture
def serve(tiny_translator: MakeTranslator, tmp_path: Path) -> MakeServed:
    def make(cell: Cell = "lstm", thread: DeviceThread | None = None) -> Served:
        translator = tiny_translator(cell)
        graphs = slot_graphs(translator)
        save_graphs({f"{name}.onnx": graph for name, graph in graphs.items()}, tmp_path)
        device = FakeDevice()

        def open_graph(path: Path, *, can_capture: bool = False) -> FakeSession:
            bound = OnnxBoundSession(OnnxSession(path, CPU), CPU)
            return FakeSession(bound, device, can_capture=can_capture)

        steps = {
            count: open_graph(tmp_path / f"steps_{count}.onnx", can_capture=True)
            for count in (1, 8)
        }
        opened = Graphs(
            open_graph(translator.folder / "encoder.onnx"),
            open_graph(tmp_path / "join.onnx"),
            steps,
        )
        slots = SlotSession(
            opened, device, thread or CallersThread(), BUCKETS, translator.pad_id, translator.eos_id
        )
        paged = translator.make_runner(max_rows=128)
        group = SlotGroup(slots, BUCKETS, 1, translator.eos_id)
        runner = SlotTranslatorRunner({1: group}, paged, 128)
        return Served(runner, device, steps)

    return make


def expect(
    translator: TinyTranslator, sequences: list[TokenSequence]
) -> list[list[tuple[list[int], float, bool]]]:
    found = translate([copy_sequence(each) for each in sequences], translator.make_runner(512))
    return [[(one.token_ids, one.score, one.is_complete) for one in each] for each in found]


def assert_equal(found: list[Hypothesis], expected: list[tuple[list[int], float, bool]]) -> None:
    assert_same(found, [(tuple(ids), score, whole) for ids, score, whole in expected])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("count", [1, 7, 100])
def test_answers_are_those_of_the_search(
    cell: Cell, count: int, serve: MakeServed, tiny_translator: MakeTranslator
) -> None:
    """With 100 sentences, a call is eight steps until fewer than 64 are left."""
    translator = tiny_translator(cell)
    served = serve(cell)
    served.runner.slots.capture()
    sequences = some_sequences(translator, seed=count, count=count, longest=40)
    for found, expected in zip(
        translate(sequences, served.runner), expect(translator, sequences), strict=True
    ):
        assert_equal(found, expected)


@pytest.mark.parametrize("seed", range(4))
def test_sentences_join_and_leave_at_any_step(
    seed: int, serve: MakeServed, tiny_translator: MakeTranslator
) -> None:
    """Greedy ones in slots, beams beside them; buckets grow and shrink."""
    translator, served, rng = tiny_translator("lstm"), serve("lstm"), random.Random(seed)
    served.runner.slots.capture()
    arrivals: dict[int, list[TokenSequence]] = {}
    for sequence in some_sequences(translator, seed, count=60, longest=45):
        sequence.search = SearchOptions(rng.choice([1, 1, 1, 3]), rng.randint(1, 24))
        arrivals.setdefault(rng.choice([0, 0, rng.randrange(40)]), []).append(sequence)
    sequences = [sequence for group in arrivals.values() for sequence in group]
    results = run_staggered(served.runner, arrivals)
    for sequence, expected in zip(sequences, expect(translator, sequences), strict=True):
        assert_equal(results[sequence], expected)
    assert served.runner.num_running == 0


def test_loops_and_limits_end_as_in_the_search(
    serve: MakeServed, tiny_translator: MakeTranslator
) -> None:
    translator = tiny_translator("rnn")
    sequences = some_sequences(translator, seed=9, count=90, longest=20)
    for number, sequence in enumerate(sequences):
        sequence.search = SearchOptions(1, (1, 7, 8, 9, 60)[number % 5])
    expected = translate([copy_sequence(each) for each in sequences], translator.make_runner(512))
    found = translate(sequences, serve("rnn").runner)
    assert [each[0].defect for each in found] == [each[0].defect for each in expected]
    assert {each[0].defect for each in found} >= {None, "length"}
    assert [each[0].token_ids for each in found] == [each[0].token_ids for each in expected]


def test_slots_of_abandoned_sentences_are_free_after_the_next_step(
    serve: MakeServed, tiny_translator: MakeTranslator
) -> None:
    translator, served = tiny_translator("lstm"), serve("lstm")
    sequences = some_sequences(translator, seed=5, count=6, longest=8)
    served.runner.step(sequences)
    running = served.runner.num_running
    abandoned = next(held.sequence for held in served.runner.groups[1].held.values())
    abandoned.is_abandoned = True
    results = dict(served.runner.step([]))
    assert abandoned not in results
    assert served.runner.num_running + len(results) == running - 1


def test_stream_gives_the_tokens_of_the_answer(
    serve: MakeServed, tiny_translator: MakeTranslator
) -> None:
    translator, served = tiny_translator("lstm"), serve("lstm")
    sequences = some_sequences(translator, seed=8, count=70, longest=30)
    given: dict[TokenSequence, list[int]] = {sequence: [] for sequence in sequences}
    for sequence in sequences:
        sequence.on_tokens = given[sequence].extend
    for sequence, found in zip(sequences, translate(sequences, served.runner), strict=True):
        assert given[sequence] == found[0].token_ids


def test_failure_loses_what_runs_and_a_reset_makes_room(
    serve: MakeServed, tiny_translator: MakeTranslator
) -> None:
    translator, served = tiny_translator("lstm"), serve("lstm")
    served.runner.step(some_sequences(translator, seed=5, count=6, longest=8))
    served.runner.reset()
    assert served.runner.num_running == 0
    sequences = some_sequences(translator, seed=6, count=6, longest=8)
    for found, expected in zip(
        translate(sequences, served.runner), expect(translator, sequences), strict=True
    ):
        assert_equal(found, expected)


def test_every_step_replays_a_graph_that_was_recorded_before(
    serve: MakeServed, tiny_translator: MakeTranslator
) -> None:
    served = serve("gru")
    served.runner.slots.capture()
    assert served.runner.slots.is_captured
    recorded = {count: set(session.places) for count, session in served.sessions.items()}
    assert recorded == {count: set(range(4 * len(BUCKETS))) for count in (1, 8)}
    num_eager = served.device.num_runs[EAGER]
    sequences = some_sequences(tiny_translator("gru"), seed=3, count=100, longest=40)
    reads, joins = served.device.num_reads, num_eager
    translate(sequences, served.runner)
    num_steps = sum(served.device.num_runs[each] for each in range(4 * len(BUCKETS)))
    assert {count: set(session.places) for count, session in served.sessions.items()} == recorded
    assert served.device.num_reads - reads < 2 * num_steps  # tokens and scores
    assert served.device.num_runs[EAGER] > joins


def test_steps_are_plain_runs_until_they_are_captured(
    serve: MakeServed, tiny_translator: MakeTranslator
) -> None:
    served = serve("gru")
    translate(some_sequences(tiny_translator("gru"), seed=3, count=9, longest=30), served.runner)
    assert set(served.device.num_runs) == {EAGER}


def test_graph_that_cannot_be_recorded_leaves_all_steps_plain_runs(
    serve: MakeServed, tiny_translator: MakeTranslator, caplog: pytest.LogCaptureFixture
) -> None:
    translator, served = tiny_translator("gru"), serve("gru")
    served.sessions[8].recording_fails = True
    served.runner.slots.capture()
    assert not served.runner.slots.is_captured
    assert "not captured" in caplog.text
    sequences = some_sequences(translator, seed=3, count=9, longest=30)
    for found, expected in zip(
        translate(sequences, served.runner), expect(translator, sequences), strict=True
    ):
        assert_equal(found, expected)


def test_replay_that_differs_from_a_plain_run_is_not_used(
    serve: MakeServed, caplog: pytest.LogCaptureFixture
) -> None:
    served = serve("gru")
    served.sessions[1].replays_garbage = True
    served.runner.slots.capture()
    assert not served.runner.slots.is_captured
    assert "replay differs" in caplog.text


def test_all_threads_share_the_devices_own(
    serve: MakeServed, tiny_translator: MakeTranslator
) -> None:
    """Models are checked by one thread and served by another."""
    sequences = some_sequences(tiny_translator("lstm"), seed=3, count=9, longest=30)
    thread = OwnThread("device")
    device_only = thread.call(serve, "lstm", thread)
    assert call_elsewhere(lambda: translate(sequences, device_only.runner)) is None
    free_for_all = serve("lstm", CallersThread())
    error = call_elsewhere(lambda: translate(sequences, free_for_all.runner))
    assert isinstance(error, RuleError)


def test_arrays_are_read_as_copies_and_written_in_place() -> None:
    array = OnnxMemory(CPU).put(np.array([1.0, 2.0], np.float16))
    before, address = array.read(), array.address
    array.write(np.array([3.0, 4.0], np.float16))
    assert (before.tolist(), array.read().tolist()) == ([1.0, 2.0], [3.0, 4.0])
    assert array.address == address


def test_a_sentence_wider_than_all_slots_goes_to_the_pages(
    serve: MakeServed, tiny_translator: MakeTranslator
) -> None:
    translator, served = tiny_translator("lstm"), serve("lstm")
    wide = make_sentence(range(5, 60), 1, 24)
    (found,) = translate([wide], served.runner)
    ((expected),) = expect(translator, [wide])
    assert_equal(found, expected)
    assert set(served.device.num_runs) == set()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_exported_version_in_float16_decodes_in_slots(
    cell: Cell, tiny_run: Callable[[str, str], Path], tmp_path: Path
) -> None:
    """Always if it is told to; by itself only on CUDA."""
    folder = export_run(tiny_run("translation", cell), tmp_path, ["fp16"])
    in_slots = load_model(folder, CPU, slots="always")
    in_pages = load_model(folder, CPU)
    assert isinstance(in_slots.runner, SlotTranslatorRunner)
    assert isinstance(in_pages.runner, TranslatorRunner)
    check_goldens(in_slots)
    texts = [f"A man {number} is riding" for number in range(70)]
    found, expected = (
        run_sequences(model.runner, make_sequences(model, texts, "ko"))
        for model in (in_slots, in_pages)
    )
    # both round to float16, in different orders
    equal = [a[0].token_ids == b[0].token_ids for a, b in zip(found, expected, strict=True)]
    assert sum(equal) >= 0.9 * len(texts)


@pytest.mark.gpu
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_steps_are_captured_on_cuda_and_answer_like_the_pages(
    cell: Cell, tiny_run: Callable[[str, str], Path], tmp_path: Path
) -> None:
    folder = export_run(tiny_run("translation", cell), tmp_path, ["fp16"])
    in_slots, in_pages = (
        load_model(folder, resolve_device("cuda"), slots=slots) for slots in ("always", "never")
    )
    assert isinstance(in_slots.runner, SlotTranslatorRunner)
    assert in_slots.runner.is_captured
    texts = [f"A man {number} is riding" for number in range(70)]
    found, expected = (
        run_sequences(model.runner, make_sequences(model, texts, "ko"))
        for model in (in_slots, in_pages)
    )
    equal = [a[0].token_ids == b[0].token_ids for a, b in zip(found, expected, strict=True)]
    assert sum(equal) >= 0.9 * len(texts)
