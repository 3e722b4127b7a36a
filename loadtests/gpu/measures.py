"""The stages of `gpu-bench`: how fast, and what fp16 costs in BLEU."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from sacrebleu import corpus_bleu

from loadtests.bench.workloads.captions import draw_counts, make_sentences
from loadtests.gpu.slots import Slotted, open_slots
from loadtests.gpu.texts import list_texts, prepare_sequences
from loadtests.gpu.trial import PAIRS, Findings, Trial, list_precisions
from loadtests.measuring.figures import median, percentile
from loadtests.measuring.places import ROOT
from loadtests.measuring.processes import Server, enlist
from service.engine.batch import Result, TokenSequence
from service.engine.runner import run_sequences
from service.engine.slots.buckets import STEPS, Bucket, list_buckets
from service.repository.loader import load_model
from service.repository.manifest import Precision, read_manifest
from service.repository.model import LoadedModel, make_sequences

# What the design asks of one H100.
MIN_TOKENS_PER_SECOND = 1_000_000
MIN_TEXTS_PER_SECOND = 100_000
MAX_P50_MS = 15.0
MIN_REQUESTS_PER_SECOND = 30_000
MAX_BLEU_LOSS = 0.1

SHORT_TOKENS = 10
MAX_TIMES = 1000
BATCH_SIZES = (1, 8, 32, 128, 256, 512)
SLOT_ROWS = (64, 256, 512)
BEAM_SIZES = (1, 4)
CLIENT = "loadtests.clients.closed_loop"
CONNECTIONS = 256
SEED = 11


def measure_steps(trial: Trial) -> Findings:
    """Tokens per second of the slot decoder alone, by bucket and steps in a call.

    All slots are full and none ends: what a step can do, without search and encoder.
    """
    figures: dict[str, Any] = {}
    best = 0.0
    for folder in trial.find_task("translation"):
        slotted = open_slots(folder, trial, max_rows=trial.scale(512, 16))
        buckets = list_buckets(trial.scale(512, 16))
        each = trial.share_time(3 * len(buckets) * 2 * len(STEPS))
        for bucket in buckets:
            fill_bucket(slotted, bucket)
            for is_captured in dict.fromkeys([slotted.session.is_captured, False]):
                for num_steps in STEPS:
                    way = "graph" if is_captured else "eager"
                    name = f"{folder.parent.name} {bucket.rows}x{bucket.width} {way} {num_steps}"
                    rate = time_steps(slotted, bucket, num_steps, each, is_captured=is_captured)
                    figures[name] = rate
                    best = max(best, rate)
        break  # the others have the same sizes
    return Findings(figures, headline=f"at best {best:,.0f} tokens/s")


def fill_bucket(slotted: Slotted, bucket: Bucket) -> None:
    """Fills all slots of a bucket with sentences of its width."""
    rng = np.random.default_rng(SEED)
    ids = slotted.model.manifest.ids
    start_id = next(iter(ids.start_ids.values()))
    low, high = max([*ids.start_ids.values(), *[ids.eos_id or 0]]) + 1, 500
    sequences = [
        TokenSequence(
            rng.integers(low, high, bucket.width).tolist(), 0.0, float("inf"), start_id=start_id
        )
        for _ in range(bucket.rows)
    ]
    sources = slotted.session.bucket.rows + np.arange(bucket.rows)
    slotted.session.join(bucket, sequences, sources)


def time_steps(
    slotted: Slotted, bucket: Bucket, num_steps: int, seconds: float, *, is_captured: bool
) -> float:
    """Tokens per second: the median of the calls of some seconds."""
    session, captured = slotted.session, slotted.session.is_captured
    session.is_captured = is_captured
    try:
        session.step(num_steps)
        return bucket.rows * num_steps / time_calls(lambda: session.step(num_steps), seconds)
    finally:
        session.is_captured = captured


def time_calls(call: Callable[[], object], seconds: float) -> float:
    """Seconds per call, the median of at least three."""
    times, end = list[float](), time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return median(times)


def measure_translation(trial: Trial) -> Findings:
    """Output tokens per second of the engine alone, encoder, search and joins included."""
    figures: dict[str, Any] = {}
    best = 0.0
    for folder in trial.find_task("translation"):
        for rows in trial.scale_all(SLOT_ROWS, (4, 16)):
            slotted = open_slots(folder, trial, max_rows=rows)
            counts = draw_counts(trial.scale(8 * rows, rows))
            sentences = make_sentences(slotted.model, counts)
            for beam_size in BEAM_SIZES:
                rates = [
                    time_sentences(slotted, sentences, beam_size) for _ in range(trial.scale(4, 2))
                ]
                rate = median(rates[1:])  # the first run allocates
                figures[f"{folder.parent.name} {rows} rows, beam {beam_size}"] = rate
                best = max(best, rate)
    return Findings(
        {**figures, "goal": MIN_TOKENS_PER_SECOND, "best": best},
        headline=f"{best:,.0f} tokens/s (goal {MIN_TOKENS_PER_SECOND:,})",
    )


def time_sentences(slotted: Slotted, sentences: Sequence[str], beam_size: int) -> float:
    sequences = prepare_sequences(slotted.model, sentences, beam_size)
    started = time.perf_counter()
    results = run_sequences(slotted.runner, sequences)
    elapsed = time.perf_counter() - started
    return sum(count_tokens(result) for result in results) / elapsed


def count_tokens(result: Result) -> int:
    assert isinstance(result, list)
    return len(result[0].token_ids) + 1  # eos


def measure_classification(trial: Trial) -> Findings:
    """Texts per second of the engine alone, by model, precision and batch size."""
    figures: dict[str, Any] = {}
    best = 0.0
    cases: list[tuple[Path, Precision]] = [
        (folder, precision)
        for folder in trial.find_task("classification")
        for precision in list_precisions(read_manifest(folder))
    ]
    sizes = trial.scale_all(BATCH_SIZES, (1, 8))
    each = trial.share_time(3 * len(cases) * len(sizes))
    for folder, precision in cases:
        for size in sizes:
            model = load_model(folder, trial.device, precision=precision, max_rows=size)
            texts = list_texts(model)
            texts = (texts * (size // len(texts) + 1))[:size]
            sequences = prepare_sequences(model, texts)
            seconds = time_calls(lambda m=model, s=sequences: m.runner.step(list(s)), each)  # type: ignore[misc]
            figures[f"{folder.parent.name} {precision} {size}"] = size / seconds
            best = max(best, size / seconds)
    return Findings(
        {**figures, "goal": MIN_TEXTS_PER_SECOND, "best": best},
        headline=f"{best:,.0f} texts/s (goal {MIN_TEXTS_PER_SECOND:,})",
    )


def measure_latency(trial: Trial) -> Findings:
    """How long one sentence of ten tokens takes alone, greedily, engine only."""
    figures: dict[str, Any] = {}
    worst = 0.0
    for folder in trial.find_task("translation"):
        slotted = open_slots(folder, trial, max_rows=16)
        (sentence,) = make_sentences(slotted.model, [SHORT_TOKENS])
        times, end = list[float](), time.monotonic() + trial.share_time(6)
        while len(times) < 4 or (len(times) < MAX_TIMES and time.monotonic() < end):
            sequences = prepare_sequences(slotted.model, [sentence])
            started = time.perf_counter()
            run_sequences(slotted.runner, sequences)
            times.append(1e3 * (time.perf_counter() - started))
        p50, p99 = percentile(times, 50), percentile(times, 99)
        figures[folder.parent.name] = {"p50_ms": p50, "p99_ms": p99, "num_sentences": len(times)}
        worst = max(worst, p50)
    return Findings(
        {**figures, "goal_ms": MAX_P50_MS, "p50_ms": worst},
        headline=f"p50 {worst:.3g} ms (goal below {MAX_P50_MS:g})",
    )


def measure_http(trial: Trial) -> Findings:
    """Requests per second over HTTP, one short text each, by number of HTTP processes."""
    figures: dict[str, Any] = {}
    faults = list[str]()
    best = 0.0
    (folder, *_) = trial.find_task("classification")
    model = load_model(folder, trial.device, precision="w8")
    bodies = trial.scratch / "bodies.jsonl"
    lines = [
        json.dumps({"inputs": text, "model": model.manifest.name}) for text in list_texts(model)
    ]
    bodies.write_text("\n".join(lines) + "\n", encoding="utf-8")
    seconds = trial.scale(8, 1)
    for num_front_ends in trial.num_front_ends:
        found = load_server(trial, bodies, num_front_ends, seconds)
        figures[f"{num_front_ends} front ends"] = found
        best = max(best, found["requests_per_second"])
        if found["num_failures"]:
            faults.append(f"{found['num_failures']} requests failed with {num_front_ends}")
    return Findings(
        {**figures, "goal": MIN_REQUESTS_PER_SECOND, "best": best, "model": model.title},
        faults,
        f"{best:,.0f} requests/s (goal {MIN_REQUESTS_PER_SECOND:,})",
    )


def load_server(trial: Trial, bodies: Path, num_front_ends: int, seconds: int) -> dict[str, Any]:
    """Starts a server and asks it from as many processes as there are processors to spare."""
    command = [sys.executable, "-m", "service", "--port", "{port}", "--log-level", "warning"]
    command += ["--device", str(trial.device), "--models-dir", str(trial.models_dir)]
    command += ["--workers", str(num_front_ends)]
    num_clients = (
        max(1, (os.cpu_count() or 1) - num_front_ends - 1) if not trial.is_rehearsal else 1
    )
    connections = max(1, trial.scale(CONNECTIONS, 4) // num_clients)
    with ExitStack() as stack:
        server = Server(
            f"server-{num_front_ends}",
            command,
            {},
            ready_path="/readyz",
            folder=ROOT,
            log=trial.scratch / f"server-{num_front_ends}.log",
        )
        enlist(server, stack).wait_ready()
        client = [sys.executable, "-m", CLIENT, "--port", str(server.port), "--path", "/classify"]
        client += ["--warm-up", "1", "--seconds", str(seconds)]
        client += ["--group", f"all:{connections}:{bodies}"]
        processes = [
            subprocess.Popen(client, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            for _ in range(num_clients)
        ]
        found = [json.loads(process.communicate()[0])["all"] for process in processes]
    return {
        "requests_per_second": sum(each["requests_per_second"] for each in found),
        "p50_ms": median([each["p50_ms"] for each in found if each["p50_ms"]]),
        "num_failures": sum(each["num_failures"] for each in found),
        "num_clients": num_clients,
        "num_connections": num_clients * connections,
    }


def measure_bleu(trial: Trial) -> Findings:
    """BLEU of greedy translations in fp16 slots, against the same weights in float32."""
    figures: dict[str, Any] = {}
    faults, worst = list[str](), 0.0
    for folder in trial.find_task("translation"):
        slotted = open_slots(folder, trial, max_rows=trial.scale(256, 16))
        in_full = load_model(
            folder, trial.device, precision="fp32", max_rows=trial.scale(256, 16), slots="never"
        )
        for source, target in slotted.model.manifest.pairs:
            path = trial.folder / PAIRS / f"{source}-{target}.tsv"
            if not path.exists():
                continue
            lines = path.read_text(encoding="utf-8").splitlines()[: trial.scale(1000, 8)]
            texts, references = zip(*(line.split("\t") for line in lines), strict=True)
            half = translate(slotted.model, slotted, texts, target)
            full = translate(in_full, None, texts, target)
            scores = [corpus_bleu(found, [references]).score for found in (half, full)]
            figures[f"{folder.parent.name} {source}-{target}"] = {
                "bleu_fp16": scores[0],
                "bleu_fp32": scores[1],
                "equal": sum(map(str.__eq__, half, full)) / len(full),
                "num_sentences": len(full),
            }
            worst = max(worst, scores[1] - scores[0])
    if not figures:
        faults.append(f"pairs of sentences are missing in {trial.folder / PAIRS}")
    if worst > MAX_BLEU_LOSS and not trial.is_rehearsal:
        faults.append(f"fp16 loses {worst:.2f} BLEU, the limit is {MAX_BLEU_LOSS}")
    return Findings(
        {**figures, "limit": MAX_BLEU_LOSS, "worst_loss": worst},
        faults,
        f"fp16 loses {worst:.2f} BLEU at worst (limit {MAX_BLEU_LOSS})",
    )


def translate(
    model: LoadedModel, slotted: Slotted | None, texts: Sequence[str], target: str
) -> list[str]:
    runner = slotted.runner if slotted else model.runner
    results = run_sequences(runner, make_sequences(model, texts, target))
    found = []
    for result in results:
        assert isinstance(result, list)
        found.append(model.tokenizer.decode(result[0].token_ids))
    return found
