"""The graphs of a training run, in memory or in a folder, compared with its torch model."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx

from export.graphs.builder import graph_file, save_graphs
from export.graphs.runs import build_graphs, roles_of
from export.parity.check import HALF, check_figures, check_parity, make_batches
from export.parity.comparison import Comparison
from export.parity.slots import MAX_ROWS, compare_beams, compare_slots, judge_beams
from models.networks.seq2seq import Seq2Seq
from models.training.runs import Run
from service.engine.runtime.binding import OnnxBoundSession, OnnxMemory
from service.engine.runtime.device import Device
from service.engine.runtime.device_thread import thread_of
from service.engine.runtime.session import OnnxSession
from service.engine.search.decoder_session import DecoderSession
from service.engine.search.translator import TranslatorRunner
from service.repository.loader import bind_slots, make_slot_runner
from service.repository.manifest import Parity, Precision, Role

PARITY_LENGTH = 48


def check_run(
    run: Run,
    precision: Precision,
    device: Device,
    linear_before_reset: int = 1,
    max_length: int = PARITY_LENGTH,
) -> Parity:
    """Builds the graphs of one precision and compares them with the torch model.

    Raises:
        ParityError: they differ.
    """
    graphs = build_graphs(run, precision, linear_before_reset)
    return check_graphs(run, graphs, precision, device, max_length)


def check_graphs(
    run: Run,
    graphs: Mapping[Role, onnx.ModelProto],
    precision: Precision,
    device: Device,
    max_length: int = PARITY_LENGTH,
) -> Parity:
    """Compares graphs in memory with the torch model.

    Raises:
        ParityError: they differ.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save_graphs({graph_file(role, precision): graph for role, graph in graphs.items()}, folder)
        return check_folder(run, folder, precision, device, max_length)


def check_folder(
    run: Run, folder: Path, precision: Precision, device: Device, max_length: int = PARITY_LENGTH
) -> Parity:
    """Compares the graphs of one precision in a folder with the torch model.

    Raises:
        ParityError: they differ.
    """
    sessions = {
        role: OnnxSession(folder / graph_file(role, precision), device)
        for role in roles_of(run, precision)
    }
    length = min(max_length, run.config.model.max_tokens)
    figures = check_parity(run.model, sessions, precision, device.kind, length, run.forbidden_ids)
    if "slot_join" in sessions:
        check_slots(run, sessions, precision, device, length)
    return figures


def check_slots(
    run: Run,
    sessions: Mapping[Role, OnnxSession],
    precision: Precision,
    device: Device,
    max_length: int,
) -> None:
    """Compares decoding in slots with the torch model.

    Raises:
        ParityError: they differ.
    """
    assert isinstance(run.model, Seq2Seq), "translators alone decode in slots"
    ids = run.special_ids
    assert ids.eos_id is not None, "a translator has an eos_id"
    graphs = bind_slots(lambda role: OnnxBoundSession(sessions[role], device))
    session = DecoderSession(sessions["encoder"], sessions["decoder"], ids.pad_id)
    runner = make_slot_runner(
        TranslatorRunner(session, ids.eos_id, MAX_ROWS),
        *(ids, graphs, OnnxMemory(device), thread_of(device), MAX_ROWS),
    )
    comparison, differences = Comparison(HALF.tie), list[float]()
    start_id = next(iter(ids.start_ids.values()))
    for batch in make_batches(run.config.model.vocab_size, max_length):
        compare_slots(
            *(run.model, runner.slots, batch, start_id, ids.eos_id, run.forbidden_ids, comparison)
        )
        differences += compare_beams(runner, batch, start_id)
    where = f"{precision} in slots on {device.kind}"
    check_figures(comparison, HALF, f"{where} differs from torch")
    judge_beams(differences, f"{where} differs from the search over pages")
