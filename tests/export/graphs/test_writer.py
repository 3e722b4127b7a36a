"""The graphs of models that answer texts: they agree with torch, and no row depends on another."""

from pathlib import Path

import numpy as np
import pytest
import torch

from export.graphs.builder import save_graphs
from export.parity.check import ParityError
from export.publish import build_graphs, check_graphs
from models.networks.seq2seq import Seq2Seq, translate_greedily
from models.training.runs import Run
from service.engine.batch import Generation, SamplingOptions, TokenSequence
from service.engine.generation.generator import GeneratorRunner
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.engine.search.decoder_session import DecoderSession
from service.engine.search.writer_session import WriterSession
from service.repository.manifest import Precision
from tests.export.conftest import RunMaker

CPU = Device("cpu")
SOURCES = [[9, 300, 41, 1], [77, 1], [500, 30, 31, 8, 9, 10, 11, 12, 500, 30, 31, 8, 9, 10, 5, 1]]


def open_runner(run: Run, precision: Precision, folder: Path) -> GeneratorRunner:
    save_graphs(
        {f"{role}.onnx": graph for role, graph in build_graphs(run, precision).items()}, folder
    )
    encoder, writer = (OnnxSession(folder / f"{role}.onnx", CPU) for role in ("encoder", "writer"))
    ids = run.special_ids
    (start_id,) = ids.start_ids.values()
    session = WriterSession(DecoderSession(encoder, writer, ids.pad_id), start_id)
    return GeneratorRunner(session, ids.eos_id, 8)


def open_sequence(source: list[int], **options: float) -> TokenSequence:
    sampling = SamplingOptions(**{"max_new_tokens": 20, **options})
    return TokenSequence(source, 0.0, float("inf"), sampling=sampling)


def write(runner: GeneratorRunner, sequences: list[TokenSequence]) -> list[Generation]:
    results = run_sequences(runner, sequences)
    return [result for result in results if isinstance(result, Generation)]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_answers_are_those_of_torch(cell: str, random_run: RunMaker, tmp_path: Path) -> None:
    run = random_run("text2text", cell)
    assert isinstance(run.model, Seq2Seq)
    written = write(open_runner(run, "fp32", tmp_path), [open_sequence(each) for each in SOURCES])

    eos_id, (start_id,) = run.special_ids.eos_id, run.special_ids.start_ids.values()
    assert eos_id is not None
    with torch.no_grad():
        run.model.output_bias[run.forbidden_ids] -= 1e9
        expected = [
            translate_greedily(
                [run.model],
                torch.tensor([source]),
                torch.tensor([len(source)]),
                start_id,
                eos_id,
                20,
            )[0]
            for source in SOURCES
        ]
        run.model.output_bias[run.forbidden_ids] += 1e9
    assert [each.token_ids for each in written] == expected


@pytest.mark.parametrize("precision", ["fp32", "w8", "int8"])
def test_an_answer_is_the_same_alone_and_in_company(
    precision: Precision, random_run: RunMaker, tmp_path: Path
) -> None:
    runner = open_runner(random_run("text2text", "lstm"), precision, tmp_path)
    options = [
        {"temperature": 0.0},
        {"temperature": 1.0, "seed": 4},
        {"temperature": 1.3, "top_k": 9},
    ]

    def open_all() -> list[TokenSequence]:
        return [
            open_sequence(*pair[:1], **pair[1])
            for pair in zip(SOURCES * 4, options * 4, strict=True)
        ]

    together = write(runner, open_all())

    alone = [write(runner, [sequence])[0] for sequence in open_all()]
    assert [each.token_ids for each in together] == [each.token_ids for each in alone]
    for ours, theirs in zip(together, alone, strict=True):
        np.testing.assert_allclose(ours.log_probabilities, theirs.log_probabilities, atol=1e-4)
    assert len({tuple(each.token_ids) for each in together}) > 2


def test_texts_that_leave_free_their_memory(random_run: RunMaker, tmp_path: Path) -> None:
    runner = open_runner(random_run("text2text", "gru"), "fp32", tmp_path)
    long, short = open_sequence(SOURCES[2]), open_sequence(SOURCES[1], max_new_tokens=2)
    runner.step([long, short])
    session = runner.session
    assert session.num_rows == 2
    runner.step([])  # the short one is at its limit
    runner.step([])
    assert (session.num_rows, runner.num_running) == (1, 1)
    long.is_abandoned = True
    runner.step([])
    assert session.num_rows == 0


@pytest.mark.parametrize("precision", ["fp32", "w8", "int8"])
def test_parity_is_checked(precision: Precision, random_run: RunMaker) -> None:
    run = random_run("text2text", "lstm")
    graphs = build_graphs(run, precision)
    assert sorted(graphs) == ["encoder", "writer"]
    parity = check_graphs(run, graphs, precision, CPU)
    assert parity.max_difference < {"fp32": 5e-6, "w8": 0.15, "int8": 0.25}[precision]


def test_a_bias_that_is_left_out_is_caught(random_run: RunMaker) -> None:
    run = random_run("text2text", "gru")
    graphs = build_graphs(run, "fp32")
    graph = graphs["writer"].graph
    (last,) = (node for node in graph.node if "logits" in node.output)
    source = next(node for node in graph.node if last.input[0] in node.output)
    last.input[0] = source.input[0]  # the product without its bias
    with pytest.raises(ParityError, match="differs from torch"):
        check_graphs(run, graphs, "fp32", CPU)
