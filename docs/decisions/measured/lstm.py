"""Measures onnxruntime's LSTM: `python docs/decisions/measured/lstm.py`.

Microseconds of processor time per token of a bidirectional LSTM of 256 over texts of 18 tokens, by
rows: the whole operator, the same with inputs of one number (almost without their product), the
product of the inputs, and PyTorch's LSTM; the least of some rounds. And milliseconds of a batch by
the lengths of its rows. Prints the report and writes lstm.json.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from docs.decisions.measured.report import write_report
from service.arrays import Array
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession

SIZE, LENGTH, ROUNDS = 256, 18, 15
ROWS = (1, 2, 4, 8, 16, 32)
BATCHES = {"8 of 20": [20] * 8, "7 of 5 and 1 of 20": [5] * 7 + [20]}
BATCHES |= {"7 of 5": [5] * 7, "1 of 20": [20]}
FLOAT, INT32 = TensorProto.FLOAT, TensorProto.INT32
RNG = np.random.default_rng(0)


def draw(*shape: int) -> Array:
    drawn: Array = (RNG.uniform(-1, 1, shape) / 16).astype(np.float32)
    return drawn


def open_graph(
    folder: Path,
    nodes: list[onnx.NodeProto],
    weights: Mapping[str, Array],
    inputs: Mapping[str, tuple[int, list[str | int]]],
) -> OnnxSession:
    """A session of one thread; the outputs are those of the nodes."""
    graph = helper.make_graph(
        nodes,
        "measured",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(node.output[0], FLOAT, None) for node in nodes],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "graph.onnx"
    onnx.save(model, str(path))
    return OnnxSession(path, Device("cpu"))


def open_lstm(folder: Path, input_size: int) -> OnnxSession:
    node = helper.make_node(
        "LSTM",
        ["inputs", "input", "recurrent", "bias", "lengths"],
        ["outputs"],
        hidden_size=SIZE,
        direction="bidirectional",
    )
    weights = {
        "input": draw(2, 4 * SIZE, input_size),
        "recurrent": draw(2, 4 * SIZE, SIZE),
        "bias": draw(2, 8 * SIZE),
    }
    inputs: dict[str, tuple[int, list[str | int]]] = {
        "inputs": (FLOAT, ["T", "B", input_size]),
        "lengths": (INT32, ["B"]),
    }
    return open_graph(folder, [node], weights, inputs)


def open_product(folder: Path) -> OnnxSession:
    """That of the inputs, for both directions."""
    nodes = [helper.make_node("MatMul", ["inputs", way], [f"{way}.gates"]) for way in ("a", "b")]
    weights = {way: draw(SIZE, 4 * SIZE) for way in ("a", "b")}
    return open_graph(folder, nodes, weights, {"inputs": (FLOAT, ["N", SIZE])})


def make_feeds(lengths: list[int], input_size: int) -> dict[str, Array]:
    inputs = draw(max(lengths), len(lengths), input_size)
    return {"inputs": inputs, "lengths": np.array(lengths, np.int32)}


def time_run(run: Callable[[], Any], num_rows: int) -> float:
    """Microseconds of processor time."""
    num_runs = max(2, 40 // num_rows)
    run()
    found = []
    for _ in range(ROUNDS):
        started = time.thread_time()
        for _ in range(num_runs):
            run()
        found.append((time.thread_time() - started) / num_runs)
    return 1e6 * min(found)


def measure_rows(folder: Path) -> dict[int, dict[str, float]]:
    whole, alone, product = open_lstm(folder, SIZE), open_lstm(folder, 1), open_product(folder)
    layer = torch.nn.LSTM(SIZE, SIZE, bidirectional=True).eval()
    found = {}
    for rows in ROWS:
        feeds, narrow = make_feeds([LENGTH] * rows, SIZE), make_feeds([LENGTH] * rows, 1)
        flat = {"inputs": feeds["inputs"].reshape(LENGTH * rows, SIZE)}
        tensor = torch.from_numpy(feeds["inputs"])
        runs: dict[str, Callable[[], Any]] = {
            "lstm": lambda feeds=feeds: whole.run(feeds),  # type: ignore[misc]
            "without inputs": lambda feeds=narrow: alone.run(feeds),  # type: ignore[misc]
            "inputs": lambda feeds=flat: product.run(feeds),  # type: ignore[misc]
            "torch": lambda tensor=tensor: layer(tensor),  # type: ignore[misc]
        }
        found[rows] = {
            name: round(time_run(run, rows) / (rows * LENGTH), 1) for name, run in runs.items()
        }
    return found


def measure_batches(folder: Path) -> dict[str, float]:
    session = open_lstm(folder, SIZE)
    found = {}
    for name, lengths in BATCHES.items():
        feeds = make_feeds(lengths, SIZE)
        seconds = time_run(lambda feeds=feeds: session.run(feeds), len(lengths))  # type: ignore[misc]
        found[name] = round(seconds / 1e3, 2)
    return found


def measure() -> dict[str, object]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        return {
            "us_per_token": measure_rows(Path(name)),
            "ms_per_batch": measure_batches(Path(name)),
        }


if __name__ == "__main__":
    write_report(__file__, measure)
