"""What the service promises as ratios, computed from what the parts measured."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.bench.contestants.servers import FLOOR, PLAIN, TORCHSERVE, ours_name
from loadtests.bench.parts.peer import OURS, PEER, peer_ratio
from loadtests.bench.parts.throughput import (
    Round,
    balance_ratio,
    latency_ratio,
    overhead_ratio,
    throughput_ratio,
)
from loadtests.bench.parts.translation import short_ratio, tokens_ratio

FP32, INT8 = ours_name("fp32"), ours_name("int8")
# Connections at which throughput is judged, and how many times that of a peer it should be.
BUSY_LEVELS = (32, 128)
MIN_RATES = (
    (FP32, TORCHSERVE, "", 1.2),
    (FP32, PLAIN, "", 1.75),
    (INT8, PLAIN, " fp32", 3.0),
)
MIN_BALANCE = 0.8
# What is left of the maximum at three times of it; a refusal costs less of a translation.
CLASSIFY_GOODPUT, TRANSLATE_GOODPUT = 0.85, 0.9
MAX_REFUSAL_MS, MAX_GOOD_MS = 50.0, 1000.0
MAX_MEMORY_GROWTH = 1.15


@dataclass(frozen=True)
class Goal:
    """A figure with what it should be.

    Attributes:
        is_floor: the value should be at least `goal`; else at most.
    """

    title: str
    value: float
    goal: float
    is_floor: bool = True

    @property
    def is_met(self) -> bool:
        return self.value >= self.goal if self.is_floor else self.value <= self.goal

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"is_met": self.is_met}


def find_goals(results: Mapping[str, Any]) -> list[Goal]:
    """Those whose parts were run."""
    goals: list[Goal] = []
    if "http" in results:
        goals += judge_http(results["http"]["rounds"], results["http"]["ceilings"])
    for name, found in results.get("overload", {}).items():
        goals += judge_overload(name, found)
    if "peer" in results:
        goals += judge_peer(results["peer"]["tokens_per_second"])
    if "translation" in results:
        for title, rounds in results["translation"]["rounds"].items():
            goals += judge_translation(title, rounds)
    return goals


def judge_http(
    rounds: Mapping[int, Sequence[Round]], ceilings: Mapping[str, Sequence[float]]
) -> list[Goal]:
    goals = [goal for level in BUSY_LEVELS for goal in judge_busy(rounds.get(level, ()), level)]
    if 1 in rounds:
        ratio = latency_ratio(rounds[1], FP32, PLAIN)
        goals.append(Goal(f"{FP32} / {PLAIN}, p50 at c=1", ratio, 1.0, is_floor=False))
    for level in BUSY_LEVELS:
        for precision, rates in ceilings.items() if level in rounds else ():
            name = ours_name(precision)
            ratio = overhead_ratio(rounds[level], rates, name, FLOOR)
            title = f"{name} / (HTTP floor + engine ceiling), CPU per request at c={level}"
            goals.append(Goal(title, ratio, 1.4, is_floor=False))
    return goals


def judge_busy(rounds: Sequence[Round], level: int) -> list[Goal]:
    """Requests per second against the peers that were there, and the balance of the workers."""
    if not rounds:
        return []
    goals = [
        Goal(f"{over} / {under}{note}, requests/s at c={level}", ratio, least)
        for over, under, note, least in MIN_RATES
        if math.isfinite(ratio := throughput_ratio(rounds, over, under))
    ]
    for name in (FP32, INT8):
        title = f"{name}, connections of the idlest / the busiest worker at c={level}"
        goals.append(Goal(title, balance_ratio(rounds, name), MIN_BALANCE))
    return goals


def judge_overload(name: str, found: Mapping[str, Any]) -> list[Goal]:
    least = TRANSLATE_GOODPUT if name.startswith("translation") else CLASSIFY_GOODPUT
    goals = [Goal(f"{name} at 3x its maximum, goodput / maximum", found["goodput_share"], least)]
    if found["num_shed"]:
        median_ms = float(found["shed_ms"]["p50"])
        title = f"{name} at 3x, median ms of a 429"
        goals.append(Goal(title, median_ms, MAX_REFUSAL_MS, is_floor=False))
    if (p99_ms := found["latency_ms"]["p99"]) is not None:
        title = f"{name} at 3x, p99 ms of a good answer"
        goals.append(Goal(title, float(p99_ms), MAX_GOOD_MS, is_floor=False))
    growth = found["rss_end_bytes"] / found["rss_start_bytes"]
    title = f"{name} at 3x, memory at the end / at the start"
    goals.append(Goal(title, growth, MAX_MEMORY_GROWTH, is_floor=False))
    return goals


def judge_peer(figures: Mapping[str, Sequence[float]]) -> list[Goal]:
    return [
        Goal(f"{OURS} / {PEER}, output tokens/s of the engine, {mix}", peer_ratio(figures, mix), 1)
        for mix in dict.fromkeys(key.split("|")[1] for key in figures)
    ]


def judge_translation(title: str, rounds: Sequence[Any]) -> list[Goal]:
    return [
        Goal(f"continuous / static, output tokens/s, {title}", tokens_ratio(rounds), 1.5),
        Goal(f"static / continuous, p50 of short among long, {title}", short_ratio(rounds), 3.0),
    ]
