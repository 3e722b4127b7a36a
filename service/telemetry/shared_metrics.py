"""What the workers of a server know of each other: metrics, connections, and that they live.

Each worker writes into its own place of memory that all of them share; the one asked for the
metrics adds up what is there. prometheus_client's own way over files would take the exemplars away,
and twice the time for every observation.
"""

import mmap
import pickle
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from service.telemetry.metrics import SHARED_GAUGES

SEGMENT_BYTES = 8 * 1024 * 1024  # of addresses; memory is taken as it is written to
HEADER = struct.Struct("<QQI")  # beats, bytes, checksum
CONNECTIONS = struct.Struct("@i")  # behind the header; written at any time, in one piece
NOT_ACCEPTING = -1
CONTENT_START = HEADER.size + CONNECTIONS.size
MAX_TRIES = 100

Combine = Callable[[float, float], float]


def add(one: float, other: float) -> float:
    return one + other


class MetricsSegment:
    """Shared memory of one worker: written by it, read by all that are forked after it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, SEGMENT_BYTES)
        self.stop_accepting()

    @property
    def heartbeats(self) -> int:
        """How often it was written to; 0 is never."""
        beats: int = HEADER.unpack_from(self._memory)[0]
        return beats

    @property
    def num_connections(self) -> int | None:
        """Connections that the worker has open; None if it accepts none."""
        number: int = CONNECTIONS.unpack_from(self._memory, HEADER.size)[0]
        return None if number == NOT_ACCEPTING else number

    @num_connections.setter
    def num_connections(self, number: int) -> None:
        CONNECTIONS.pack_into(self._memory, HEADER.size, number)

    def stop_accepting(self) -> None:
        """Says that the worker accepts no connections, not yet or not any more."""
        CONNECTIONS.pack_into(self._memory, HEADER.size, NOT_ACCEPTING)

    def write(self, families: Sequence[Metric]) -> None:
        """Replaces what is there.

        Raises:
            ValueError: the segment is too small for them.
        """
        content = pickle.dumps(families)
        if CONTENT_START + len(content) > SEGMENT_BYTES:
            raise ValueError(
                f"{len(content)} bytes of metrics are above the limit of {SEGMENT_BYTES}"
            )
        self._memory[CONTENT_START : CONTENT_START + len(content)] = content
        HEADER.pack_into(self._memory, 0, self.heartbeats + 1, len(content), zlib.crc32(content))

    def read(self) -> list[Metric]:
        """What was written last; nothing if nothing was, or if the writer died meanwhile."""
        for _ in range(MAX_TRIES):  # it may be half written at the moment
            _, length, checksum = HEADER.unpack_from(self._memory)
            content = self._memory[CONTENT_START : CONTENT_START + length]
            if zlib.crc32(content) == checksum:
                families: list[Metric] = pickle.loads(content) if content else []
                return families
        return []

    def keep_counters(self) -> None:
        """Drops the gauges of a worker that has ended: its queue, for instance, ended with it."""
        self.stop_accepting()
        self.write(select_counters(self.read()))


class SharedMetrics(Collector):
    """The metrics of all workers as seen by one of them: its own of now, the others' last.

    Args:
        own: the registry of this worker.
        segments: of all workers.
        index: of this worker's segment. Counters go on from what a dead predecessor left there,
            so that none falls when a worker is replaced.
    """

    def __init__(
        self, own: CollectorRegistry, segments: Sequence[MetricsSegment], index: int
    ) -> None:
        self._own, self._segments, self._index = own, segments, index
        self._inherited = select_counters(segments[index].read())

    def publish(self) -> None:
        """Shows this worker's metrics to the others."""
        self._segments[self._index].write(merge_families(self._own_parts()))

    def conclude(self) -> None:
        """Publishes what was counted up to the end; a worker calls it as its last act."""
        self._segments[self._index].write(select_counters(merge_families(self._own_parts())))

    def collect(self) -> list[Metric]:
        others = (
            segment.read() for place, segment in enumerate(self._segments) if place != self._index
        )
        return merge_families([*self._own_parts(), *others])

    def _own_parts(self) -> list[list[Metric]]:
        return [self._inherited, list(self._own.collect())]


def select_counters(families: Iterable[Metric]) -> list[Metric]:
    return [family for family in families if family.type in ("counter", "histogram")]


def merge_families(parts: Iterable[Sequence[Metric]]) -> list[Metric]:
    """The metrics of several processes as those of one.

    Values of the same name and labels are added up, but for the gauges in `SHARED_GAUGES`.
    """
    merged: dict[str, Metric] = {}
    samples: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], Sample]] = {}
    for family in (family for part in parts for family in part):
        if family.name not in merged:
            merged[family.name] = Metric(family.name, family.documentation, family.type)
        found = samples.setdefault(family.name, {})
        for sample in family.samples:
            key = (sample.name, tuple(sample.labels.items()))
            earlier = found.get(key)
            found[key] = sample if earlier is None else merge_samples(earlier, sample)
    for name, family in merged.items():
        family.samples = list(samples[name].values())
    return list(merged.values())


def merge_samples(one: Sample, other: Sample) -> Sample:
    """Two values of one series, from two processes, as one; the later exemplar stays."""
    combine = min if one.name.endswith("_created") else SHARED_GAUGES.get(one.name, add)
    exemplar = max(
        filter(None, (one.exemplar, other.exemplar)),
        key=lambda each: each.timestamp or 0.0,
        default=None,
    )
    return one._replace(value=combine(one.value, other.value), exemplar=exemplar)
