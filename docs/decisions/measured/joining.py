"""Measures rules by which sentences join: `python docs/decisions/measured/joining.py [ROUNDS]`.

A real engine (int8, beam 2) under a closed loop of 32 clients and an open one of 80 sentences per
second. Its clock is the processor time of this process, so that other work on the machine neither
counts nor keeps sentences waiting; the rules take turns of 20 sentences. Prints JSON.
"""

import heapq
import json
import os
import random
import statistics
import sys
import time
from dataclasses import replace

import numpy as np

from loadtests.bench.parts.decoder import TARGET, count_tokens, find_translator, load_translator
from loadtests.bench.workloads.captions import make_sentences
from service.engine.batch import TokenSequence
from service.engine.scheduling.scheduler import Scheduler
from service.engine.search.translator import TranslatorRunner
from service.repository.model import make_sequences

CLIENTS, PER_SECOND, PER_TURN, WARM_UP_TURNS = 32, 80.0, 20, 4
BEAM_SIZE, MAX_ROWS, MAX_TOKENS = 2, 64, 4096
GAIN, MAX_RISE = 0.05, 4.0

MODEL = load_translator("int8", MAX_ROWS)
LENGTHS = np.random.default_rng(3).integers(8, 20, 512)
POOL = make_sequences(MODEL, make_sentences(MODEL, LENGTHS.tolist()), TARGET, BEAM_SIZE)


class AlwaysRunner(TranslatorRunner):
    """Lets sentences join at each step."""

    @property
    def free_rows(self) -> int:
        return self._max_rows - self.running_rows

    @property
    def running_rows(self) -> int:
        return sum(group.num_rows for group in self._groups)


class LearntRunner(AlwaysRunner):
    """Lets sentences join when what they have missed is worth the whole time that a join adds.

    A waiting row misses the share of one row in those that run, as long as it has waited, at most
    since the last join.
    """

    plain = joining = since_join = 0.0

    def is_due(self, waiting: list[TokenSequence], now: float) -> bool:
        rows = sum(sequence.num_rows for sequence in waiting)
        waited = sum(sequence.num_rows * (now - sequence.arrived_at) for sequence in waiting)
        missed = min(waited, rows * self.since_join) * min(1.0, self.free_rows / max(rows, 1))
        is_known = self.plain > 0.0 and self.joining > 0.0
        return not is_known or missed >= (self.joining - self.plain) * self.running_rows

    def observe(self, seconds: float, *, has_joined: bool) -> None:
        if has_joined:
            self.joining, self.since_join = average(self.joining, seconds), seconds
        else:
            self.plain = average(self.plain, seconds)
            self.since_join += seconds


def average(known: float, latest: float) -> float:
    return known + GAIN * (min(latest, MAX_RISE * known) - known) if known else latest


class Loop:
    """One rule under one load, from turn to turn."""

    def __init__(self, kind: type[TranslatorRunner], *, is_closed: bool) -> None:
        shipped = MODEL.runner
        assert isinstance(shipped, TranslatorRunner)
        decoder = type(shipped.session)(
            shipped.session._encoder, shipped.session.decoder, shipped.session._pad_id
        )
        eos_id = MODEL.manifest.ids.eos_id
        assert eos_id is not None
        self.runner = kind(decoder, eos_id, MAX_ROWS)
        self.scheduler = Scheduler(MAX_ROWS, MAX_TOKENS)
        self.is_closed, self.random = is_closed, random.Random(1)
        self.now = self.last_due = 0.0
        self.due: list[tuple[float, int]] = []
        self.num_due = self.num_steps = self.num_joins = 0
        for _ in range(CLIENTS if is_closed else 5):
            self.send()

    def send(self) -> None:
        """Has another sentence arrive: now, or at random."""
        self.last_due = (
            self.now if self.is_closed else self.last_due + self.random.expovariate(PER_SECOND)
        )
        heapq.heappush(self.due, (self.last_due, self.num_due))
        self.num_due += 1

    def choose(self) -> list[TokenSequence]:
        while self.due[:1] and self.due[0][0] <= self.now:
            arrived_at, number = heapq.heappop(self.due)
            sequence = replace(POOL[number % len(POOL)], arrived_at=arrived_at)
            self.scheduler.add([sequence])
            if not self.is_closed:
                self.send()
        runner, waiting = self.runner, self.scheduler._waiting
        if isinstance(runner, LearntRunner) and runner.num_running and waiting:
            free_rows = runner.free_rows if runner.is_due(waiting, self.now) else 0
        else:
            free_rows = runner.free_rows
        return self.scheduler.next_batch(free_rows).sequences

    def step(self) -> tuple[int, list[float], float]:
        """Tokens, latencies and seconds of a step."""
        arrivals = self.choose()
        if not (arrivals or self.runner.num_running):
            self.now = self.due[0][0]
            return 0, [], 0.0
        was_running = self.runner.num_running > 0
        started = time.process_time()
        finished = self.runner.step(arrivals)
        seconds = time.process_time() - started
        self.now += seconds
        if was_running and isinstance(self.runner, LearntRunner):
            self.runner.observe(seconds, has_joined=bool(arrivals))
        self.num_steps, self.num_joins = self.num_steps + 1, self.num_joins + bool(arrivals)
        if self.is_closed:
            for _ in finished:
                self.send()
        latencies = [self.now - sequence.arrived_at for sequence, _ in finished]
        return sum(count_tokens(result) for _, result in finished), latencies, seconds

    def turn(self) -> tuple[float, list[float]]:
        """Tokens per second of processor time, and the latencies."""
        num_tokens, busy, latencies = 0, 0.0, list[float]()
        while len(latencies) < PER_TURN:
            tokens, found, seconds = self.step()
            num_tokens, busy = num_tokens + tokens, busy + seconds
            latencies += found
        return num_tokens / busy, latencies


def measure(num_rounds: int) -> dict[str, dict[str, dict[str, float]]]:
    rules = {"constants": TranslatorRunner, "always": AlwaysRunner, "learnt": LearntRunner}
    loops = {
        load: {name: Loop(rule, is_closed=load == "closed") for name, rule in rules.items()}
        for load in ("closed", "open")
    }
    turns: dict[str, dict[str, list[tuple[float, list[float]]]]] = {
        load: {name: [] for name in rules} for load in loops
    }
    for index in range(WARM_UP_TURNS + num_rounds):
        for load, by_name in loops.items():
            names = list(rules)[index % 3 :] + list(rules)[: index % 3]
            for name in names:
                turn = by_name[name].turn()
                if index >= WARM_UP_TURNS:
                    turns[load][name].append(turn)
    return {
        load: {
            name: summarize(loops[load][name], turns[load][name], turns[load]["constants"])
            for name in rules
        }
        for load in loops
    }


def summarize(
    loop: Loop, turns: list[tuple[float, list[float]]], others: list[tuple[float, list[float]]]
) -> dict[str, float]:
    ratios = [turn[0] / other[0] for turn, other in zip(turns, others, strict=True)]
    latencies = [latency for _, found in turns for latency in found]
    return {
        "tokens_per_cpu_second": statistics.median(rate for rate, _ in turns),
        "ratio": statistics.median(ratios),
        "standard_error": statistics.pstdev(ratios) / len(ratios) ** 0.5,
        "p50_ms": 1000 * float(np.percentile(latencies, 50)),
        "p99_ms": 1000 * float(np.percentile(latencies, 99)),
        "steps_per_join": loop.num_steps / loop.num_joins,
    }


if __name__ == "__main__":
    num_rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    found = {
        "model": f"{find_translator().parent.name}/{find_translator().name}",
        "num_rounds": num_rounds,
        "load_average": os.getloadavg(),
        "loads": measure(num_rounds),
    }
    print(json.dumps(found, indent=1))
