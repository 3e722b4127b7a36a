"""Measures the scheduler: `python docs/decisions/measured/scheduler.py`.

What batches of 32 queued texts cost by our cuts, by powers of two and in the order of arrival,
against the cheapest partition; and what adding and taking a sequence takes.
"""

import random
import statistics
import time
from collections.abc import Sequence

from docs.decisions.measured.report import write_report
from service.engine.batch import TokenSequence
from service.engine.scheduling.scheduler import Scheduler
from service.engine.scheduling.step_cost import BatchOverhead

QUEUED, QUEUES, ROUNDS = 32, 2000 // 32, 9
MAX_BATCH_TOKENS = 4096


def draw_lengths(rng: random.Random) -> list[int]:
    """Log-normal around 15 tokens."""
    return [min(60, max(5, int(rng.lognormvariate(2.72, 0.55)))) for _ in range(QUEUED)]


def cost_of(lengths: Sequence[int], overhead: float) -> float:
    """Of one batch, in padded tokens."""
    return max(lengths) * (len(lengths) + overhead)


def cost_of_cheapest(lengths: Sequence[int], overhead: float) -> float:
    """Of the cheapest cuts of the sorted lengths, by dynamic programming."""
    ordered, costs = sorted(lengths), [0.0]
    for end in range(1, len(ordered) + 1):
        costs.append(
            min(costs[start] + cost_of(ordered[start:end], overhead) for start in range(end))
        )
    return costs[-1]


def cost_of_powers(lengths: Sequence[int], overhead: float) -> float:
    """Of batches of the lengths that have one power of two above them."""
    groups: dict[int, list[int]] = {}
    for length in lengths:
        groups.setdefault((length - 1).bit_length(), []).append(length)
    return sum(cost_of(group, overhead) for group in groups.values())


def make_scheduler(overhead: float) -> Scheduler:
    scheduler = Scheduler(QUEUED, MAX_BATCH_TOKENS)
    scheduler.overhead = BatchOverhead(per_position=overhead)
    return scheduler


def cost_of_ours(lengths: Sequence[int], overhead: float) -> float:
    scheduler = make_scheduler(overhead)
    scheduler.add([TokenSequence([1] * length, 0.0, 60.0) for length in lengths])
    cost = 0.0
    while scheduler.num_waiting:
        batch = scheduler.next_batch(QUEUED).sequences
        cost += cost_of([sequence.num_tokens for sequence in batch], overhead)
    return cost


def compare(overhead: float) -> dict[str, float]:
    """Costs over that of the cheapest partition."""
    rng = random.Random(7)
    queues = [draw_lengths(rng) for _ in range(QUEUES)]
    least = sum(cost_of_cheapest(queue, overhead) for queue in queues)
    ways = {"ours": cost_of_ours, "powers of two": cost_of_powers, "order of arrival": cost_of}
    return {
        name: round(sum(way(queue, overhead) for queue in queues) / least, 3)
        for name, way in ways.items()
    }


def time_sequence() -> float:
    """Microseconds of processor time to add a sequence and take it out in a batch."""
    rng, found = random.Random(8), []
    for _ in range(ROUNDS):
        scheduler = make_scheduler(0.5)
        queues = [
            [TokenSequence([1] * length, 0.0, 60.0) for length in draw_lengths(rng)]
            for _ in range(QUEUES)
        ]
        started = time.process_time()
        for queue in queues:
            scheduler.add(queue)
            while scheduler.num_waiting:
                scheduler.next_batch(QUEUED)
        found.append(1e6 * (time.process_time() - started) / (QUEUED * QUEUES))
    return round(statistics.median(found), 2)


def measure() -> dict[str, object]:
    return {
        "cost_over_the_cheapest": {overhead: compare(overhead) for overhead in (0.5, 2, 8)},
        "us_per_sequence": time_sequence(),
    }


if __name__ == "__main__":
    write_report(__file__, measure)
