"""Part (a): the classifier's engine alone, no HTTP: batches, length mixes, threads, instances."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from typing import Any

import numpy as np

from loadtests.bench.plan import BenchContext
from loadtests.bench.workloads.shape_model import ShapeModel
from loadtests.measuring.figures import median
from service.arrays import Array
from service.engine.batch import TokenSequence
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.engine.scheduling.scheduler import Scheduler
from service.repository.manifest import Precision

CEILING_BATCH = 32
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
PARALLEL_BATCH_SIZES = (1, 8, 32)
QUEUE_DEPTHS = (1, 4, 16, 32, 64, 128)
MAX_ROWS, MAX_TOKENS = 64, 4096  # as the service has them unless told otherwise

Feeds = Mapping[str, Array]
Orders = dict[str, Callable[[list[int]], list[int]]]
Cases = Mapping[str, tuple[OnnxSession, Sequence[Feeds]]]


def sort_in_fours(lengths: list[int]) -> list[int]:
    """Sorted over four batches at a time: what a server with 128 waiting texts can do."""
    window = 4 * CEILING_BATCH
    windows = (lengths[start : start + window] for start in range(0, len(lengths), window))
    return list(chain.from_iterable(sorted(each) for each in windows))


def make_even(lengths: list[int]) -> list[int]:
    """All of the mean length: nothing to pad."""
    return [round(statistics.mean(lengths))] * len(lengths)


MIXES: Orders = {
    "one length": make_even,
    "arrival order": list,
    "all sorted": sorted,
}
ORDERS: Orders = {
    "arrival order": list,
    "sorted in fours": sort_in_fours,
    "all sorted": sorted,
}


def measure_engine(
    shapes: Mapping[Precision, ShapeModel],
    lengths: Sequence[int],
    num_rounds: int,
    num_cpus: int,
) -> dict[str, Any]:
    """Texts per second, a figure per round, and padded tokens per token.

    Args:
        shapes: the shape model by precision.
        lengths: token counts in order of arrival.
        num_rounds: each figure is the median of this many.
        num_cpus: that may be used.
    """
    texts = list(lengths)
    sessions = {name: OnnxSession(shape.graph, Device("cpu")) for name, shape in shapes.items()}
    results: dict[str, Any] = {"num_texts": len(texts)}
    print("  classifier by batch size and length mix", flush=True)
    results["batch_size"] = run_cases(list_mixes(sessions, texts), num_rounds)
    print(f"  classifier in batches of {CEILING_BATCH}", flush=True)
    results["order"] = run_cases(list_orders(sessions, texts), num_rounds)
    results["padding"] = {label: padding_factor(order(texts)) for label, order in ORDERS.items()}
    print("  classifier in the batches of a queue", flush=True)
    results["waiting"] = run_cases(list_queues(sessions, texts), num_rounds)
    print("  instances x threads", flush=True)
    results["parallel"] = measure_parallel(shapes, texts, num_rounds, num_cpus)
    return results


def list_mixes(sessions: Mapping[Precision, OnnxSession], texts: list[int]) -> Cases:
    return {
        f"{name}|{mix}|{size}": (session, make_batches(order(texts), size))
        for name, session in sessions.items()
        for mix, order in MIXES.items()
        for size in BATCH_SIZES
    }


def list_orders(sessions: Mapping[Precision, OnnxSession], texts: list[int]) -> Cases:
    return {
        f"{name}|{label}": (session, make_batches(order(texts), CEILING_BATCH))
        for name, session in sessions.items()
        for label, order in ORDERS.items()
    }


def list_queues(sessions: Mapping[Precision, OnnxSession], texts: list[int]) -> Cases:
    return {
        f"{name}|{depth}": (session, schedule_batches(texts, depth))
        for name, session in sessions.items()
        for depth in QUEUE_DEPTHS
    }


def make_batches(lengths: Sequence[int], batch_size: int) -> list[Feeds]:
    """Padded batches in the given order; the ids are random, they do not matter to the time."""
    starts = range(0, len(lengths), batch_size)
    return [make_batch(lengths[start : start + batch_size]) for start in starts]


def make_batch(lengths: Sequence[int]) -> Feeds:
    rows = np.array(lengths, dtype=np.int64)
    rng = np.random.default_rng(1)
    input_ids = rng.integers(10, 10_000, (len(rows), int(rows.max())), dtype=np.int64)
    return {"input_ids": input_ids, "lengths": rows}


def schedule_batches(lengths: Sequence[int], depth: int) -> list[Feeds]:
    """Returns the batches that the service forms with `depth` texts queued at all times."""
    arrivals = (
        TokenSequence([0] * length, arrived_at=float(order), deadline=math.inf)
        for order, length in enumerate(lengths)
    )
    scheduler = Scheduler(MAX_ROWS, MAX_TOKENS)
    scheduler.add(list(islice(arrivals, depth)))
    batches = []
    while batch := scheduler.next_batch(MAX_ROWS).sequences:
        batches.append(make_batch([sequence.num_tokens for sequence in batch]))
        scheduler.add(list(islice(arrivals, len(batch))))
    return batches


def padding_factor(lengths: Sequence[int]) -> float:
    """Padded tokens per token, in batches of the ceiling's size."""
    starts = range(0, len(lengths), CEILING_BATCH)
    rows = [lengths[start : start + CEILING_BATCH] for start in starts]
    return sum(len(row) * max(row) for row in rows) / sum(lengths)


def run_cases(cases: Cases, num_rounds: int) -> dict[str, list[float]]:
    """Texts per second of each case, a figure per round; the rounds go through all cases."""
    found: dict[str, list[float]] = {name: [] for name in cases}
    for session, batches in cases.values():
        run_batches(session, batches[-2:])  # the first runs of a shape allocate
    for _ in range(num_rounds):
        for name, (session, batches) in cases.items():
            found[name].append(time_batches(session, batches))
    return found


def run_batches(session: OnnxSession, batches: Sequence[Feeds]) -> int:
    for feeds in batches:
        session.run(feeds)
    return sum(len(feeds["lengths"]) for feeds in batches)


def time_batches(session: OnnxSession, batches: Sequence[Feeds]) -> float:
    """Texts per second."""
    started = time.perf_counter()
    num_texts = run_batches(session, batches)
    return num_texts / (time.perf_counter() - started)


def measure_ceilings(context: BenchContext) -> dict[str, float]:
    """Texts per second of processor time in sorted batches, by precision; no server does better."""
    batches = make_batches(sorted(context.lengths), CEILING_BATCH)
    ceilings: dict[str, float] = {}
    for precision, shape in context.shapes.items():
        session = OnnxSession(shape.graph, Device("cpu"))
        run_batches(session, batches[-1:])
        rates = []
        for _ in range(3):
            started = time.process_time()
            rates.append(run_batches(session, batches) / (time.process_time() - started))
        ceilings[precision] = median(rates)
    return ceilings


def list_layouts(num_cpus: int) -> list[tuple[int, int]]:
    """Instances x threads to compare: one thread, then all processors shared out in each way."""
    shares = [num for num in (1, 2, 4, 8, 16, 32) if num < num_cpus and num_cpus % num == 0]
    ways = [(num, num_cpus // num) for num in [*shares, num_cpus]]
    return list(dict.fromkeys([(1, 1), *ways]))


def measure_parallel(
    shapes: Mapping[Precision, ShapeModel], lengths: Sequence[int], num_rounds: int, num_cpus: int
) -> dict[str, list[float]]:
    """Texts per second by precision, layout and batch size.

    Instances are threads that run one session at the same time, as the service has it.
    """
    batches = {size: make_batches(sorted(lengths), size) for size in PARALLEL_BATCH_SIZES}
    found: dict[str, list[float]] = {}
    for name, shape in shapes.items():
        layouts = {
            (instances, threads): OnnxSession(shape.graph, Device("cpu"), threads)
            for instances, threads in list_layouts(num_cpus)
        }
        for _ in range(num_rounds):
            for (instances, threads), session in layouts.items():
                for size in PARALLEL_BATCH_SIZES:
                    key = f"{name}|{instances}x{threads}|{size}"
                    rate = time_parallel(session, instances, batches[size])
                    found.setdefault(key, []).append(rate)
    return found


def time_parallel(session: OnnxSession, instances: int, batches: Sequence[Feeds]) -> float:
    """Texts per second of several threads that take the batches from one queue."""
    queue = iter(batches)

    def work(_: int) -> int:
        return sum(run_batches(session, [feeds]) for feeds in queue)

    with ThreadPoolExecutor(instances) as threads:
        started = time.perf_counter()
        num_texts = sum(threads.map(work, range(instances)))
        return num_texts / (time.perf_counter() - started)
