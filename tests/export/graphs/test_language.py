"""The graphs of language models: they agree with torch, and no row depends on another."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export.graphs.builder import save_graphs
from export.parity.check import ParityError
from export.publish import build_graphs, check_graphs
from models.config import Cell, RunConfig
from models.networks.language_model import LanguageModel
from models.training.runs import Run
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.repository.loader import find_state_shapes
from service.repository.manifest import Precision, Role
from tests.export.conftest import RunMaker

CELLS = ("lstm", "gru", "rnn")
PRECISIONS: tuple[Precision, ...] = ("fp32", "w8", "int8")
CPU = Device("cpu")
Sessions = Mapping[Role, OnnxSession]


def open_sessions(run: Run, precision: Precision, folder: Path) -> Sessions:
    graphs = build_graphs(run, precision)
    save_graphs({f"{role}.onnx": graph for role, graph in graphs.items()}, folder)
    return {role: OnnxSession(folder / f"{role}.onnx", CPU) for role in graphs}


def make_states(run: Run, num_rows: int, cell: str) -> dict[str, np.ndarray]:
    model = run.config.model
    rng = np.random.default_rng(3)
    shape = (model.num_layers, num_rows, model.hidden_size)
    names = ("hidden", "cell") if cell == "lstm" else ("hidden",)
    return {name: rng.uniform(-1, 1, shape).astype(np.float32) for name in names}


@pytest.mark.parametrize(("cell", "states"), [("lstm", 2), ("gru", 1), ("rnn", 1)])
def test_graphs_have_the_names_that_the_runner_feeds_and_reads(
    cell: str, states: int, random_run: RunMaker
) -> None:
    graphs = build_graphs(random_run("language", cell), "int8")
    names = ["hidden", "cell"][:states]
    after = [f"next_{name}" for name in names]

    def list_names(role: Role) -> tuple[list[str], list[str]]:
        graph = graphs[role].graph
        return [value.name for value in graph.input], [value.name for value in graph.output]

    assert list_names("prefill") == (["input_ids", "lengths", *names], after)
    assert list_names("generator") == (["token_ids", "parents", *names], ["logits", *after])
    assert list_names("conditioner") == (["features"], names)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_rows_do_not_depend_on_each_other(
    cell: str, precision: Precision, random_run: RunMaker, tmp_path: Path
) -> None:
    run = random_run("language", cell)
    sessions = open_sessions(run, precision, tmp_path)
    states = make_states(run, 3, cell)
    ids, lengths = np.array([[5, 6, 7, 8], [9, 0, 0, 0], [3, 4, 5, 0]]), np.array([4, 1, 3])
    read = sessions["prefill"].run({"input_ids": ids, "lengths": lengths, **states})
    before = {name: read[f"next_{name}"] for name in states}
    together = sessions["generator"].run(
        {"token_ids": np.array([7, 8, 9]), "parents": np.arange(3), **before}
    )
    for row in range(3):
        own = {name: array[:, row : row + 1] for name, array in states.items()}
        alone = sessions["prefill"].run(
            {"input_ids": ids[[row], : lengths[row]], "lengths": lengths[[row]], **own}
        )
        for name in states:
            np.testing.assert_allclose(
                alone[f"next_{name}"], read[f"next_{name}"][:, [row]], atol=1e-6
            )
        step = sessions["generator"].run(
            {"token_ids": np.array([7 + row]), "parents": np.array([row]), **before}
        )
        np.testing.assert_allclose(step["logits"][0], together["logits"][row], atol=1e-5)


def test_forbidden_tokens_are_never_the_best(random_run: RunMaker, tmp_path: Path) -> None:
    run = random_run("language", "lstm")
    sessions = open_sessions(run, "int8", tmp_path)
    logits = sessions["generator"].run(
        {"token_ids": np.array([2]), "parents": np.array([0]), **make_states(run, 1, "lstm")}
    )["logits"]
    eos_id = run.special_ids.eos_id
    assert eos_id is not None
    assert set(run.forbidden_ids) == {0, 2, 3}
    assert (logits[:, run.forbidden_ids] < -1e8).all()
    assert logits[0, eos_id] > -1e3


@pytest.mark.parametrize("cell", CELLS)
def test_stepping_reads_a_prompt_as_prefill_does(
    cell: str, random_run: RunMaker, tmp_path: Path
) -> None:
    run = random_run("language", cell)
    sessions = open_sessions(run, "fp32", tmp_path)
    features = np.array([[0.0, 1.0]], np.float32)
    first = sessions["conditioner"].run({"features": features})
    prompt = [2, 9, 30, 31, 8]
    read = sessions["prefill"].run(
        {"input_ids": np.array([prompt]), "lengths": np.array([len(prompt)]), **first}
    )
    states = first
    for token_id in prompt:
        outputs = sessions["generator"].run(
            {"token_ids": np.array([token_id]), "parents": np.array([0]), **states}
        )
        states = {name: outputs[f"next_{name}"] for name in states}
    for name, array in states.items():
        np.testing.assert_allclose(array, read[f"next_{name}"], atol=1e-6)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_any_number_of_layers_tied_or_not_agrees_with_torch(
    tied: bool, num_layers: int, random_run: RunMaker, tiny_config: Callable[..., RunConfig]
) -> None:
    tokenizer = random_run("language", "lstm").tokenizer
    config = tiny_config(
        "language", "lstm", tied=tied, num_layers=num_layers, vocab_size=tokenizer.vocab_size
    )
    torch.manual_seed(3)
    model = LanguageModel(config.model, 2).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    run = Run(config, tokenizer, model, None)
    for precision in PRECISIONS:
        parity = check_graphs(run, build_graphs(run, precision), precision, CPU)
        assert parity.max_difference < {"fp32": 5e-6, "w8": 0.07, "int8": 0.07}[precision]


@pytest.mark.parametrize("cell", CELLS)
def test_a_condition_that_is_read_at_each_step_agrees_with_torch(
    cell: Cell, random_run: RunMaker, tiny_config: Callable[..., RunConfig], tmp_path: Path
) -> None:
    tokenizer = random_run("language", cell).tokenizer
    sizes = {"vocab_size": tokenizer.vocab_size, "feeds_condition": True}
    config = tiny_config("language", cell, **sizes)
    torch.manual_seed(3)
    model = LanguageModel(config.model, 2).eval()
    torch.nn.init.normal_(model.feed.weight)
    run = Run(config, tokenizer, model, None)
    for precision in PRECISIONS:
        parity = check_graphs(run, build_graphs(run, precision), precision, CPU)
        assert parity.max_difference < {"fp32": 5e-6, "w8": 0.07, "int8": 0.07}[precision]

    shapes = find_state_shapes(open_sessions(run, "fp32", tmp_path)["generator"])
    assert shapes["condition"] == (1, config.model.embedding_size)
    graphs = build_graphs(run, "fp32")
    for node in graphs["generator"].graph.node:
        if node.op_type == "Add" and node.input[1].startswith("gather"):
            node.input[1] = node.input[0]  # the embedding twice, and no condition
    with pytest.raises(ParityError, match="differs from torch"):
        check_graphs(run, graphs, "fp32", CPU)


def ignore(model: onnx.ModelProto, op_type: str, place: int) -> None:
    """Takes an optional input away from the first node of a kind."""
    node = next(node for node in model.graph.node if node.op_type == op_type)
    node.input[place] = ""


def test_states_that_start_at_zero_are_caught(random_run: RunMaker) -> None:
    run = random_run("language", "lstm")
    graphs = build_graphs(run, "fp32")
    ignore(graphs["prefill"], "LSTM", 5)  # initial_h
    with pytest.raises(ParityError, match="differs from torch"):
        check_graphs(run, graphs, "fp32", CPU)


def test_ignored_lengths_are_caught(random_run: RunMaker) -> None:
    run = random_run("language", "gru")
    graphs = build_graphs(run, "fp32")
    ignore(graphs["prefill"], "GRU", 4)  # sequence_lens
    with pytest.raises(ParityError, match="differs from torch"):
        check_graphs(run, graphs, "fp32", CPU)


def test_ignored_parents_are_caught(random_run: RunMaker) -> None:
    run = random_run("language", "gru")
    graphs = build_graphs(run, "fp32")
    graph = graphs["generator"].graph
    for node in graph.node:
        if node.op_type == "Gather" and node.input[1] == "parents":
            node.input[1] = "first"
    graph.node.insert(0, onnx.helper.make_node("Sub", ["parents", "parents"], ["first"]))
    with pytest.raises(ParityError, match="differs from torch"):
        check_graphs(run, graphs, "fp32", CPU)


def test_conditions_that_are_mixed_up_are_caught(random_run: RunMaker) -> None:
    run = random_run("language", "lstm")
    graphs = build_graphs(run, "fp32")
    outputs = graphs["conditioner"].graph.output
    names = [value.name for value in outputs]
    for node in graphs["conditioner"].graph.node:
        if node.output[0] in names:
            node.output[0] = names[1 - names.index(node.output[0])]
    with pytest.raises(ParityError, match="differs from torch"):
        check_graphs(run, graphs, "fp32", CPU)
