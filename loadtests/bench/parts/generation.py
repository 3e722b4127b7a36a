"""Part (d): the generator's engine alone: characters per second, continuous against static batches.

In a static batch all texts begin together, and the next ones wait for the longest of them. So they
do in a plain PyTorch loop over the same model, which is measured in a process of its own.
"""

import json
import math
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

from loadtests.measuring.places import MODELS_DIR
from service.engine.batch import Generation, SamplingOptions, TokenSequence
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device
from service.errors import ArtefactError
from service.repository.loader import load_model
from service.repository.manifest import Precision, read_manifest
from service.repository.model import LoadedModel
from service.repository.versions import find_versions

CONTINUOUS, STATIC, TORCH = "continuous", "static", "PyTorch loop, fp32"
TORCH_LOOP = "loadtests.bench.contestants.torch_loop"
PRECISIONS: tuple[Precision, ...] = ("int8", "w8")
ROWS = (1, 8, 64)
# Of texts in tokens, log-normal as those of real users are.
MEDIAN_TOKENS, SPREAD, MOST_TOKENS = 60, 0.6, 200


def find_generator(models_dir: Path = MODELS_DIR) -> Path | None:
    """Finds the first language model that goes on from a prompt alone; None if there is none."""
    try:
        folders = find_versions(models_dir)
    except ArtefactError:
        return None
    for folder in folders:
        manifest = read_manifest(folder)
        if manifest.task == "language" and manifest.condition is None:
            return folder
    return None


def measure_generation(folder: Path, num_rounds: int, texts_per_row: int) -> dict[str, Any]:
    """Characters per second, a figure per round, by precision, batches and rows."""
    rates: dict[str, list[float]] = {}
    for precision in PRECISIONS:
        for rows in ROWS:
            model = load_model(folder, Device("cpu"), precision=precision, max_rows=rows)
            for _ in range(num_rounds):
                for batches, num_at_once in ((CONTINUOUS, rows * texts_per_row), (STATIC, rows)):
                    rate = time_texts(model, rows * texts_per_row, num_at_once)
                    rates.setdefault(f"{precision}|{batches}|{rows}", []).append(rate)
    rates |= measure_torch(folder, num_rounds, texts_per_row)
    return {"model": folder.parent.name, "model_version": folder.name, "rows": rates}


def measure_torch(folder: Path, num_rounds: int, texts_per_row: int) -> dict[str, list[float]]:
    """The same texts in a plain PyTorch loop over the version's weights, one thread.

    Empty, with a word why, without torch or if the version was not made from our networks.
    """
    if find_spec("torch") is None:
        print(f"{TORCH}: left out, since torch is not installed", flush=True)
        return {}
    model = load_model(folder, Device("cpu"))
    rates: dict[str, list[float]] = {}
    for rows in ROWS:
        lengths = [
            each.sampling.max_new_tokens
            for each in make_texts(model, rows * texts_per_row)
            if each.sampling
        ]
        command = [sys.executable, "-m", TORCH_LOOP, str(folder), str(rows), json.dumps(lengths)]
        for _ in range(num_rounds):
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode:
                print(f"{TORCH}: left out, {done.stderr.strip().splitlines()[-1]}", flush=True)
                return {}
            rates.setdefault(f"{TORCH}|{STATIC}|{rows}", []).append(float(done.stdout))
    return rates


def time_texts(model: LoadedModel, num_texts: int, num_at_once: int) -> float:
    """Characters per second of texts that are given to the engine in batches."""
    sequences = make_texts(model, num_texts)
    started = time.perf_counter()
    num_chars = 0
    for start in range(0, num_texts, num_at_once):
        for result in run_sequences(model.runner, sequences[start : start + num_at_once]):
            assert isinstance(result, Generation)
            num_chars += len(model.tokenizer.decode(result.token_ids))
    return num_chars / (time.perf_counter() - started)


def make_texts(model: LoadedModel, num_texts: int) -> list[TokenSequence]:
    """The same texts for every server and round, of mixed lengths."""
    rng = Random(1)
    now, limit = time.monotonic(), min(MOST_TOKENS, model.manifest.limits.max_new_tokens)
    (input_ids,) = model.encode([""])
    return [
        TokenSequence(
            input_ids,
            now,
            math.inf,
            sampling=SamplingOptions(
                min(limit, max(1, round(rng.lognormvariate(math.log(MEDIAN_TOKENS), SPREAD)))),
                temperature=0.8,
                index=index,
            ),
        )
        for index in range(num_texts)
    ]
