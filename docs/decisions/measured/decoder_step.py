"""Where the time of a decoder's step goes, by what its nodes are for: docs/decisions/shortlist.md.

    python docs/decisions/measured/decoder_step.py models/repository/translation-en-de/7 ...

Writes decoder_step.json beside itself: microseconds per step on one thread, the median of each node
over the steps, for sentences of 14 tokens.
"""

import json
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

from loadtests.bench.reporting.report import describe_run
from service.engine.runtime.device import available_cpus
from service.engine.search.paged_memory import PagedMemory

BATCHES = ((1, 1), (4, 1), (16, 1), (64, 1), (2, 2), (4, 2), (16, 2), (64, 2))  # rows and beam
NUM_TOKENS, NUM_STEPS, WARM_UP = 14, 200, 20
PRODUCTS = {
    "output": "product of the output layer",
    "top": "products of the top layer",
    "bottom": "products of the bottom layer",
    "query": "products of attention and readout",
    "readout": "products of attention and readout",
}
OTHERS = "gates, states and all else"
KINDS = {
    "LogSoftmax": "log-probabilities of the vocabulary",
    **dict.fromkeys(("ReduceMax", "TopK"), "search for the best tokens"),
    **dict.fromkeys(("MatMul", "FusedMatMul", "ScatterND", "Exp"), "attention over the pages"),
}


def open_session(path: Path, prefix: Path | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    if prefix:
        options.enable_profiling, options.profile_file_prefix = True, str(prefix)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def make_feeds(encoder: onnxruntime.InferenceSession, rows: int, beam: int) -> dict[str, Any]:
    """Inputs of a step with sentences of random tokens, the hypotheses of each side by side."""
    rng = np.random.default_rng(1)
    num_sentences = rows // beam
    lengths = np.full(num_sentences, NUM_TOKENS)
    input_ids = rng.integers(300, 9000, (num_sentences, NUM_TOKENS))
    names = ["keys", "values", "hidden", "cell"]
    keys, values, hidden, cell = encoder.run(names, {"input_ids": input_ids, "lengths": lengths})
    memory = PagedMemory()
    memory.add(keys, values, lengths)
    return {
        "token_ids": rng.integers(300, 9000, rows),
        "parents": np.repeat(np.arange(num_sentences), beam),
        "rows": np.arange(rows).reshape(num_sentences, beam),
        **{"hidden": hidden, "cell": cell, "keys": memory.keys, "values": memory.values},
        "num_candidates": np.array([1 if beam == 1 else beam + 1]),
    }


def name_products(graph: onnx.GraphProto) -> dict[str, str]:
    """What each quantized product is for, by the name of its node: by the weight it multiplies."""
    origins = {node.output[0]: node.input[0] for node in graph.node if node.input}
    found = {}
    for node in graph.node:
        if node.op_type == "MatMulIntegerToFloat":
            weight = origins[node.input[1]]  # behind a Transpose or a Squeeze
            found[node.name] = PRODUCTS[weight.split(".")[0]]
    return found


def measure_step(folder: Path, rows: int, beam: int) -> dict[str, float]:
    """Microseconds by purpose."""
    path = folder / "decoder.int8.onnx"
    products = name_products(onnx.load(str(path), load_external_data=False).graph)
    with tempfile.TemporaryDirectory() as scratch:
        session = open_session(path, Path(scratch) / "step")
        feeds = make_feeds(open_session(folder / "encoder.int8.onnx"), rows, beam)
        for _ in range(WARM_UP + NUM_STEPS):
            session.run(None, feeds)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    durations = defaultdict(list)
    kinds = {}
    for event in events:
        name, _, suffix = event["name"].rpartition("_kernel_time")
        if event["cat"] == "Node" and not suffix and name:
            durations[name].append(event["dur"])
            kinds[name] = event["args"]["op_name"]
    found: dict[str, float] = defaultdict(float)
    for name, values in durations.items():
        purpose = products.get(name) or KINDS.get(kinds[name], OTHERS)
        found[purpose] += statistics.median(values[WARM_UP:])
    return {**found, "nodes": len(durations)}


def main() -> None:
    results = {
        f"{folder.parent.name} {folder.name}|{rows} rows, beam {beam}": measure_step(
            folder, rows, beam
        )
        for folder in map(Path, sys.argv[1:])
        for rows, beam in BATCHES
    }
    about = describe_run(available_cpus(), {})
    written = Path(__file__).with_suffix(".json")
    written.write_text(json.dumps({"about": about, "us": results}, indent=1) + "\n")
    for name, found in results.items():
        total = sum(found.values()) - found["nodes"]
        shares = ", ".join(
            f"{key} {value / total:.0%}" for key, value in found.items() if key != "nodes"
        )
        print(f"{name}: {total:.0f} us in {found['nodes']} nodes; {shares}")


if __name__ == "__main__":
    main()
