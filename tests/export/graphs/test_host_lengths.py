"""Recurrent layers of graphs for CUDA read lengths that were never on the device."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from export.graphs.builder import save_graphs
from export.graphs.host_lengths import ON_HOST, split_lengths
from export.graphs.placement import RECURRENT
from export.publish import build_graphs
from loadtests.gpu.fake_device import FakeDevice, FakeSession, RuleError
from models.config import Cell
from service.engine.batch import LENGTHS_ON_HOST, Batch
from service.engine.runtime.binding import HOST_INPUTS, OnnxBoundSession, OnnxMemory
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.repository.manifest import Role
from tests.export.conftest import RunMaker

CPU = Device("cpu")
CELLS: list[Cell] = ["lstm", "gru", "rnn"]
# The graph that reads whole texts, and whether a mask of it reads the lengths, too.
READERS: dict[str, tuple[Role, bool]] = {
    "classification": ("classifier", True),
    "translation": ("encoder", False),
    "tagging": ("tagger", False),
    "language": ("prefill", False),
}


def make_batch(rng: np.random.Generator, num_rows: int) -> Batch:
    lengths = rng.integers(1, 20, num_rows)
    return Batch(rng.integers(0, 90, (num_rows, int(lengths.max()))), lengths)


def names_of(model: onnx.ModelProto) -> set[str]:
    return {value.name for value in model.graph.input}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", READERS)
def test_lengths_are_an_input_of_their_own(task: str, cell: Cell, random_run: RunMaker) -> None:
    role, has_mask = READERS[task]
    graph = build_graphs(random_run(task, cell), "fp16")[role]
    assert ON_HOST == LENGTHS_ON_HOST
    assert ON_HOST in names_of(graph)
    readers = [node for node in graph.graph.node if ON_HOST in node.input]
    assert {node.op_type for node in readers} <= set(RECURRENT)
    layers = [node for node in graph.graph.node if node.op_type in RECURRENT]
    assert all(node.input[4] == ON_HOST for node in layers)
    assert ("lengths" in names_of(graph)) == has_mask


@pytest.mark.parametrize("task", READERS)
def test_graph_gives_the_same(task: str, random_run: RunMaker, tmp_path: Path) -> None:
    role, _ = READERS[task]
    whole = build_graphs(random_run(task, "lstm"), "fp32")[role]
    save_graphs({"whole.onnx": whole, "split.onnx": split_lengths(whole)}, tmp_path)
    rng = np.random.default_rng(3)
    batch, sessions = make_batch(rng, 9), {}
    for name in ("whole", "split"):
        sessions[name] = OnnxSession(tmp_path / f"{name}.onnx", CPU)
    feeds = dict(batch.feeds)
    for name in sessions["whole"].input_names:
        if name not in feeds:
            layers, _, units = sessions["whole"].input_shape(name)
            feeds[name] = rng.uniform(-1, 1, (layers, 9, units)).astype(np.float32)
    found, expected = (sessions[name].run(feeds) for name in ("split", "whole"))
    for name, array in expected.items():
        assert np.array_equal(found[name], array), name


@pytest.mark.parametrize("task", ["classification", "translation"])
def test_bound_runs_take_lengths_from_the_host(
    task: str, random_run: RunMaker, tmp_path: Path
) -> None:
    """The other inputs and all outputs lie on the device; batches are ragged, their shapes free."""
    role, _ = READERS[task]
    save_graphs({"graph.onnx": build_graphs(random_run(task, "gru"), "fp16")[role]}, tmp_path)
    session, device = OnnxSession(tmp_path / "graph.onnx", CPU), FakeDevice()
    bound = FakeSession(OnnxBoundSession(session, CPU), device)
    rng, host = np.random.default_rng(5), OnnxMemory(CPU)
    for num_rows in (1, 7, 32, 3):
        batch = make_batch(rng, num_rows)
        inputs = {
            name: (host if name in HOST_INPUTS else device).put(array)
            for name, array in batch.feeds.items()
        }
        reads = device.num_reads
        outputs = bound.run(inputs)
        assert device.num_reads == reads
        for name, expected in session.run(batch.feeds).items():
            found: NDArray[np.float32] = outputs[name].read()
            rows = np.arange(found.shape[-1]) < batch.lengths[:, None]
            if name == "keys":  # (N, A, S), undefined at padding
                found, expected = found * rows[:, None], expected * rows[:, None]
            assert np.allclose(found, expected, atol=1e-3), name
    with pytest.raises(RuleError, match="is read on the host, and lies on the device"):
        bound.run({name: device.put(array) for name, array in batch.feeds.items()})
