"""Part (a): the translator's engine alone, no HTTP: output tokens per second.

Search and encoder are included, as in every use of it. Depends on `load_model`, `make_sequences`
and `run_sequences` alone, so that it goes on measuring when the search changes.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from loadtests.bench.contestants.runners import find_runners
from loadtests.bench.parts.engine import list_layouts
from loadtests.bench.workloads.captions import draw_counts, make_sentences
from loadtests.measuring.places import MODELS_DIR
from service.engine.batch import Result, TokenSequence
from service.engine.runner import Runner, run_sequences
from service.engine.runtime.device import Device
from service.repository.loader import load_model
from service.repository.model import LoadedModel, make_sequences
from service.repository.versions import newest_version

TRANSLATOR = "translation-en-de"
TARGET = "de"
PRECISIONS = ("int8", "w8")  # w8 computes in float32; the model ships without plain fp32
ROWS = (1, 2, 4, 8, 16, 32, 64)
PARALLEL_ROWS = (1, 16, 64)
SAME_TOKENS = 20

Item = TypeVar("Item")


def measure_decoder(num_rounds: int, num_sentences: int, num_cpus: int) -> dict[str, Any]:
    """Greedy output tokens per second, a figure per round."""
    print("  decoder by rows", flush=True)
    by_rows = measure_rows(num_rounds, num_sentences)
    print("  decoder, instances x threads", flush=True)
    parallel = measure_parallel(num_rounds, num_sentences, num_cpus)
    return {
        "model_version": find_translator().name,
        "num_sentences": num_sentences,
        "rows": by_rows,
        "parallel": parallel,
    }


def find_translator(models_dir: Path = MODELS_DIR) -> Path:
    """Finds the folder of the newest version of the translator."""
    return newest_version(models_dir, TRANSLATOR)


def load_translator(
    precision: str, max_rows: int, num_runners: int = 1, num_threads: int = 1
) -> LoadedModel:
    return load_model(
        find_translator(),
        Device("cpu"),
        precision=precision,
        num_threads=num_threads,
        num_runners=num_runners,
        max_rows=max_rows,
    )


def measure_rows(num_rounds: int, num_sentences: int) -> dict[str, list[float]]:
    """By precision, mix and rows.

    "one length" repeats one sentence, so that all rows stay busy to the end: the ceiling of rows.
    """
    found: dict[str, list[float]] = {}
    for precision in PRECISIONS:
        models = {rows: load_translator(precision, rows) for rows in ROWS}
        mixes = make_mixes(models[1], num_sentences)
        for _ in range(num_rounds):
            for rows, model in models.items():
                for mix, sentences in mixes.items():
                    rate = time_sentences(model, choose_share(sentences, rows))
                    found.setdefault(f"{precision}|{mix}|{rows}", []).append(rate)
    return found


def measure_parallel(num_rounds: int, num_sentences: int, num_cpus: int) -> dict[str, list[float]]:
    """By precision, layout and rows per instance, mixed lengths."""
    found: dict[str, list[float]] = {}
    for precision in PRECISIONS:
        sentences = make_mixes(load_translator(precision, 1), num_sentences)["mixed"]
        for rows in PARALLEL_ROWS:
            layouts = {
                layout: load_translator(precision, rows, *layout)
                for layout in list_layouts(num_cpus)
            }
            for _ in range(num_rounds):
                for (instances, threads), model in layouts.items():
                    key = f"{precision}|{instances}x{threads}|{rows}"
                    rate = time_sentences(model, choose_share(sentences, rows))
                    found.setdefault(key, []).append(rate)
    return found


def make_mixes(model: LoadedModel, num_sentences: int) -> dict[str, list[str]]:
    (same,) = make_sentences(model, [SAME_TOKENS])
    return {
        "one length": [same] * num_sentences,
        "mixed": make_sentences(model, draw_counts(num_sentences)),
    }


def choose_share(sentences: Sequence[Item], rows: int) -> Sequence[Item]:
    """Few rows are slow, and need fewer sentences for as good a figure."""
    return sentences[: max(24, 8 * rows)]


def time_sentences(model: LoadedModel, sentences: Sequence[str]) -> float:
    """Output tokens per second, the sentences dealt out to the runners, each on its own thread."""
    runners = find_runners(model)
    sequences = make_sequences(model, sentences, TARGET)
    shares = [sequences[index :: len(runners)] for index in range(len(runners))]

    def work(runner: Runner, share: list[TokenSequence]) -> int:
        return sum(count_tokens(result) for result in run_sequences(runner, share))

    with ThreadPoolExecutor(len(runners)) as threads:
        started = time.perf_counter()
        num_tokens = sum(threads.map(work, runners, shares))
        return num_tokens / (time.perf_counter() - started)


def count_tokens(result: Result) -> int:
    """Tokens that the decoder wrote for one sentence, eos included."""
    assert isinstance(result, list)
    return len(result[0].token_ids) + 1
