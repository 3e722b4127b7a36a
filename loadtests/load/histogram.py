"""Times in buckets that grow by two per cent: small to send, and exact enough when merged."""

import math
from collections import Counter
from typing import Any

SMALLEST_MS, GROWTH = 0.01, 1.02
"""A percentile is at most two per cent too high."""


class Histogram:
    """Milliseconds; mean and maximum are exact.

    Attributes:
        counts: by bucket; bucket n ends at SMALLEST_MS * GROWTH**n.
    """

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self.total_ms = self.max_ms = 0.0

    def add(self, milliseconds: float) -> None:
        self.counts[find_bucket(milliseconds)] += 1
        self.total_ms += milliseconds
        self.max_ms = max(self.max_ms, milliseconds)

    def merge(self, other: "Histogram") -> None:
        self.counts.update(other.counts)
        self.total_ms += other.total_ms
        self.max_ms = max(self.max_ms, other.max_ms)

    @property
    def count(self) -> int:
        return self.counts.total()

    @property
    def mean_ms(self) -> float:
        return self.total_ms / self.count if self.counts else math.nan

    def percentile(self, percent: float) -> float:
        """Returns the end of the bucket that holds it, in milliseconds; nan if empty."""
        wanted, seen = self.count * percent / 100, 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return min(self.max_ms, SMALLEST_MS * GROWTH**bucket)
        return math.nan

    def pack(self) -> list[Any]:
        """Plain lists, for a message to another process."""
        return [list(self.counts.items()), self.total_ms, self.max_ms]

    @classmethod
    def unpack(cls, packed: list[Any]) -> "Histogram":
        found = cls()
        counts, found.total_ms, found.max_ms = packed
        found.counts.update(dict(counts))
        return found


def find_bucket(milliseconds: float) -> int:
    if milliseconds <= SMALLEST_MS:
        return 0
    return math.ceil(math.log(milliseconds / SMALLEST_MS) / math.log(GROWTH))
