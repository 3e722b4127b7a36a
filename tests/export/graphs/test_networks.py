from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

from export.graphs.builder import OPSET, GraphBuilder, save_graphs
from export.graphs.networks import build_decoder, find_best, select
from export.graphs.runs import build_graphs
from models.networks.seq2seq import Seq2Seq
from models.training.runs import Run
from service.engine.batch import SearchOptions, TokenSequence
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.engine.search.decoder_session import STATES, DecoderSession
from service.engine.search.paged_memory import PagedMemory
from service.engine.search.translator import TranslatorRunner
from service.repository.manifest import Precision, Role
from tests.export.conftest import RunMaker

CELLS = ("lstm", "gru", "rnn")
CPU = Device("cpu")


def open_sessions(run: Run, folder: Path) -> dict[Role, OnnxSession]:
    graphs = build_graphs(run, "fp32")
    save_graphs({f"{role}.onnx": graph for role, graph in graphs.items()}, folder)
    return {role: OnnxSession(folder / f"{role}.onnx", CPU) for role in graphs}


def encode_some(
    sessions: dict[Role, OnnxSession], lengths: Sequence[int]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    counts = np.array(lengths)
    input_ids = np.random.default_rng(1).integers(3, 300, (len(counts), int(counts.max())))
    return sessions["encoder"].run({"input_ids": input_ids, "lengths": counts}), counts


def axes(value: onnx.ValueInfoProto) -> list[str | int]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


@pytest.mark.parametrize("task", ["classification", "translation"])
def test_batch_and_length_are_never_specialised(task: str, random_run: RunMaker) -> None:
    for graph in build_graphs(random_run(task, "lstm"), "int8").values():
        shapes = {value.name: axes(value) for value in graph.graph.input}
        first = shapes.get("input_ids") or shapes["token_ids"]
        assert all(isinstance(axis, str) for axis in first)
        assert max(entry.version for entry in graph.opset_import if not entry.domain) == OPSET


@pytest.mark.parametrize(("cell", "states"), [("lstm", 2), ("gru", 1), ("rnn", 1)])
def test_only_an_lstm_has_a_cell_state(cell: str, states: int, random_run: RunMaker) -> None:
    graphs = build_graphs(random_run("translation", cell), "fp32")
    names = ["hidden", "cell"][:states]
    encoder = [value.name for value in graphs["encoder"].graph.output]
    decoder = [value.name for value in graphs["decoder"].graph.output]
    assert encoder == ["keys", "values", *names]
    assert decoder == ["scores", "candidates", "attention", *(f"next_{name}" for name in names)]


@pytest.mark.parametrize("cell", CELLS)
def test_decoder_step_has_the_documented_outputs(
    cell: str, random_run: RunMaker, tmp_path: Path
) -> None:
    run = random_run("translation", cell)
    sessions = open_sessions(run, tmp_path)
    encoded, lengths = encode_some(sessions, [3, 20])
    paged = PagedMemory()
    assert paged.add(encoded["keys"], encoded["values"], lengths) == [0, 1]
    states = {name: array for name, array in encoded.items() if name in STATES}
    vocab_size = run.config.model.vocab_size
    outputs = sessions["decoder"].run(
        {
            "token_ids": np.full(3, run.forbidden_ids[0]),
            "parents": np.array([0, 1, 1]),
            "rows": np.array([[0, 2], [1, 3], [1, 3]]),
            "keys": paged.keys,
            "values": paged.values,
            "num_candidates": np.array([vocab_size - len(run.forbidden_ids)]),
            **states,
        }
    )
    assert not np.isin(outputs["candidates"], run.forbidden_ids).any()
    assert (np.diff(outputs["scores"], axis=-1) <= 0).all()  # best first
    assert np.exp(outputs["scores"]).sum(axis=-1) == pytest.approx(1.0, abs=1e-4)
    attention = outputs["attention"]
    assert attention.shape == (3, 2, 16)
    assert attention[0, :, :3].sum(axis=-1) == pytest.approx(1.0, abs=1e-5)
    pages_of_one = attention[1, 0].sum() + attention[2, 0, :4].sum()
    assert pages_of_one == pytest.approx(1.0, abs=1e-5)
    assert {name: outputs[f"next_{name}"].shape[:2] for name in states} == dict.fromkeys(
        states, (2, 3)
    )


@pytest.mark.parametrize("precision", ["fp32", "w8", "int8"])
def test_decoder_row_does_not_depend_on_the_others(
    precision: Precision, random_run: RunMaker, tmp_path: Path
) -> None:
    run = random_run("translation", "lstm")
    save_graphs({"decoder.onnx": build_graphs(run, precision)["decoder"]}, tmp_path)
    decoder = OnnxSession(tmp_path / "decoder.onnx", CPU)
    config, rng = run.config.model, np.random.default_rng(9)

    def noise(*shape: int) -> np.ndarray:
        return rng.uniform(-0.3, 0.3, shape).astype(np.float32)

    feeds = {
        "token_ids": np.arange(5, 14),
        "parents": np.arange(9),
        "rows": np.arange(9)[:, None],
        "hidden": noise(2, 9, config.decoder_size),
        "cell": noise(2, 9, config.decoder_size),
        "keys": noise(9, config.attention_size, 16),
        "values": np.ones((9, 16, config.memory_size + 1), np.float32),
        "num_candidates": np.array([3]),
    }
    together = decoder.run(feeds)
    for row in range(9):
        own = {"token_ids": [5 + row], "parents": [row], "rows": [[0]]}
        pages = {name: feeds[name][row : row + 1] for name in ("keys", "values")}
        alone = decoder.run(
            {**feeds, **{name: np.array(array) for name, array in own.items()}, **pages}
        )
        tolerance = 1e-5 if precision != "int8" else 0.0  # float sums differ with the batch
        assert np.abs(alone["scores"][0] - together["scores"][row]).max() <= tolerance
        assert np.array_equal(alone["candidates"][0], together["candidates"][row])


@pytest.mark.parametrize("sharpness", [76.0, -76.0, np.nan])
def test_sharpness_that_would_overflow_is_rejected(sharpness: float, random_run: RunMaker) -> None:
    run = random_run("translation", "gru")
    weights = {name: tensor.numpy() for name, tensor in run.model.state_dict().items()}
    weights["decoder.attention.sharpness"] = np.array(sharpness, np.float32)
    with pytest.raises(ValueError, match="sharpness"):
        build_decoder(weights, run.config.model, [0], "fp32")


@pytest.mark.parametrize("sharpness", [-75.0, 75.0])
def test_sharpest_attention_is_finite(
    sharpness: float, random_run: RunMaker, tmp_path: Path
) -> None:
    run = random_run("translation", "gru")
    weights = {name: tensor.numpy() for name, tensor in run.model.state_dict().items()}
    weights["decoder.attention.sharpness"] = np.array(sharpness, np.float32)
    weights["decoder.attention.query.weight"] = np.ones_like(
        weights["decoder.attention.query.weight"]
    )
    decoder = build_decoder(weights, run.config.model, [0], "fp32")
    save_graphs({"decoder.onnx": decoder}, tmp_path)
    attention_size = run.config.model.attention_size
    side = np.full((64, attention_size, 16), attention_size**-0.5, np.float32)
    outputs = OnnxSession(tmp_path / "decoder.onnx", CPU).run(
        {
            "token_ids": np.array([5]),
            "parents": np.array([0]),
            "rows": np.zeros((64, 1), np.int64),
            "keys": side,
            "values": np.ones((64, 16, run.config.model.memory_size + 1), np.float32),
            "hidden": np.zeros((2, 1, run.config.model.decoder_size), np.float32),
            "num_candidates": np.array([1]),
        }
    )
    assert outputs["attention"].sum() == pytest.approx(1.0, abs=1e-4)
    assert np.isfinite(outputs["scores"]).all()


@pytest.mark.parametrize("vocab_size", [700, 97, 1000])
@pytest.mark.parametrize("num_candidates", [1, 5, 97])
def test_best_of_blocks_are_the_best_of_all(
    vocab_size: int, num_candidates: int, tmp_path: Path
) -> None:
    graph = GraphBuilder("best")
    logits = graph.input("logits", TensorProto.FLOAT, ["R", vocab_size])
    count = graph.input("num_candidates", TensorProto.INT64, [1])
    found = find_best(graph, logits, vocab_size, count)
    graph.output(found, "candidates", TensorProto.INT64, ["R", "K"])
    save_graphs({"best.onnx": graph.build()}, tmp_path)
    rows = np.random.default_rng(6).normal(size=(9, vocab_size)).astype(np.float32)
    outputs = OnnxSession(tmp_path / "best.onnx", CPU).run(
        {"logits": rows, "num_candidates": np.array([num_candidates])}
    )
    expected = np.argsort(-rows, axis=1, kind="stable")[:, :num_candidates]
    assert np.array_equal(outputs["candidates"], expected)


@pytest.mark.parametrize("cell", CELLS)
def test_served_greedy_search_translates_like_torch(
    cell: str, random_run: RunMaker, tmp_path: Path
) -> None:
    run = random_run("translation", cell)
    assert isinstance(run.model, Seq2Seq)
    ids = run.special_ids
    assert ids.eos_id is not None
    sessions = open_sessions(run, tmp_path)
    session = DecoderSession(sessions["encoder"], sessions["decoder"], ids.pad_id)
    runner = TranslatorRunner(session, ids.eos_id, 4)
    rng = np.random.default_rng(2)
    texts = [rng.integers(10, 500, length).tolist() for length in (1, 9, 4, 30, 2, 17)]
    search = SearchOptions(beam_size=1, max_new_tokens=12)
    sequences = [
        TokenSequence(text, 0.0, float("inf"), search, ids.start_ids["ko"]) for text in texts
    ]
    found = [result[0].token_ids for result in run_sequences(runner, sequences)]
    with torch.no_grad():  # the graph never gives them; torch's bias stands in
        run.model.output_bias[run.forbidden_ids] = -1e9
    expected = [
        run.model.translate(
            torch.tensor([text]), torch.tensor([len(text)]), ids.start_ids["ko"], ids.eos_id, 12
        )[0]
        for text in texts
    ]
    assert found == expected


@pytest.mark.parametrize("task", ["classification", "translation"])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_never_changes_a_result(
    task: str, cell: str, random_run: RunMaker, tmp_path: Path
) -> None:
    sessions = open_sessions(random_run(task, cell), tmp_path)
    role: Role = "classifier" if task == "classification" else "encoder"
    output = "logits" if task == "classification" else "hidden"
    ids = np.random.default_rng(3).integers(3, 300, (1, 40))
    lengths = np.array([7])
    padded, bare = (
        sessions[role].run({"input_ids": rows, "lengths": lengths})[output]
        for rows in (ids, ids[:, :7])
    )
    assert np.abs(padded - bare).max() < 1e-5


def test_select_takes_one_module_and_no_other_of_that_prefix() -> None:
    one = np.zeros(1, np.float32)
    weights = {"top.weight": one, "topping.weight": one, "bottom.top.weight": one}
    assert list(select(weights, "top")) == ["weight"]
