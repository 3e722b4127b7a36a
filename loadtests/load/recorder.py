"""The outcome of each request, by kind and by the second in which it was due.

Workers keep a recorder each and send what is new to the master, which adds it up: so queue and
inference time are known for a whole distributed run. Knows neither locust nor HTTP.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from loadtests.load.histogram import Histogram

OK, SHED, TIMEOUT, FAILED = "ok", "shed", "timeout", "failed"
OUTCOMES = {200: OK, 429: SHED, 504: TIMEOUT}

LATENCY, LATE = "latency", "late"
STAGES = ("tokenize", "queue", "inference")
FIRST = "first"
"""Times that are recorded: `latency` from when a request was due, `late` is how long after that it
was sent, `first` when the first text of a stream came, the stages as Server-Timing gives them."""


class Cell:
    """Requests of one kind in one span of time.

    Attributes:
        num_due: that should have been sent; those without an outcome were never answered.
        num_answers: good ones that came in this time, whenever their requests were due.
        outcomes: how many ended how.
        times: of those that were answered well; `late` of all.
    """

    def __init__(self) -> None:
        self.num_due = self.num_answers = 0
        self.outcomes: Counter[str] = Counter()
        self.times: dict[str, Histogram] = {}

    @property
    def num_ok(self) -> int:
        return self.outcomes[OK]

    @property
    def num_unanswered(self) -> int:
        return self.num_due - self.outcomes.total()

    def time(self, name: str) -> Histogram:
        return self.times.get(name) or Histogram()

    def add_time(self, name: str, milliseconds: float) -> None:
        self.times.setdefault(name, Histogram()).add(milliseconds)

    def merge(self, other: "Cell") -> None:
        self.num_due += other.num_due
        self.num_answers += other.num_answers
        self.outcomes.update(other.outcomes)
        for name, histogram in other.times.items():
            self.times.setdefault(name, Histogram()).merge(histogram)

    def pack(self) -> list[Any]:
        times = {name: histogram.pack() for name, histogram in self.times.items()}
        return [self.num_due, self.num_answers, dict(self.outcomes), times]

    @classmethod
    def unpack(cls, packed: list[Any]) -> "Cell":
        found = cls()
        found.num_due, found.num_answers, outcomes, times = packed
        found.outcomes.update(outcomes)
        found.times = {name: Histogram.unpack(each) for name, each in times.items()}
        return found


class Recorder:
    """Cells by second and kind.

    Args:
        seconds_per_cell: of a recorder that adds up; long runs take longer ones to save memory.
    """

    def __init__(self, seconds_per_cell: int = 1) -> None:
        self.seconds_per_cell = seconds_per_cell
        self.cells: dict[tuple[int, str], Cell] = {}

    def start(self, kind: str, due: float) -> None:
        """Counts a request.

        Args:
            kind: of user.
            due: seconds since the epoch, so that workers on other machines mean the same.
        """
        self._find(int(due), kind).num_due += 1

    def end(self, kind: str, due: float, outcome: str, times: Mapping[str, float]) -> None:
        """Takes a request's outcome and its times in milliseconds, `latency` among them."""
        cell = self._find(int(due), kind)
        cell.outcomes[outcome] += 1
        if outcome == OK:
            self._find(int(due + times[LATENCY] / 1000), kind).num_answers += 1
        for name, milliseconds in times.items():
            if outcome == OK or name == LATE:
                cell.add_time(name, milliseconds)

    def _find(self, second: int, kind: str) -> Cell:
        start = second - second % self.seconds_per_cell
        return self.cells.setdefault((start, kind), Cell())

    @property
    def num_under_way(self) -> int:
        return sum(cell.num_unanswered for cell in self.cells.values())

    @property
    def kinds(self) -> list[str]:
        return sorted({kind for _, kind in self.cells})

    def take(self) -> list[list[Any]]:
        """All that was recorded since the last call, packed; it is forgotten here."""
        taken = [[second, kind, cell.pack()] for (second, kind), cell in self.cells.items()]
        self.cells.clear()
        return taken

    def absorb(self, packed: Iterable[list[Any]]) -> None:
        """Adds what another recorder took."""
        for second, kind, cell in packed:
            self._find(second, kind).merge(Cell.unpack(cell))

    def list_starts(self, start: float, end: float, *, is_whole: bool) -> set[int]:
        """Seconds at which cells start that lie between two times: whole, or with a part."""
        width = self.seconds_per_cell
        starts = {second for second, _ in self.cells}
        if is_whole:
            return {second for second in starts if start <= second and second + width <= end}
        return {second for second in starts if start < second + width and second < end}

    def sum_up(self, starts: Collection[int], kind: str | None = None) -> Cell:
        """The cells with these starts, of one kind or of all."""
        total = Cell()
        for (second, each), cell in self.cells.items():
            if second in starts and kind in (None, each):
                total.merge(cell)
        return total


def read_stages(header: str) -> Iterator[tuple[str, float]]:
    """Stages and milliseconds out of `tokenize;dur=0.1, queue;dur=2.0, ...`."""
    for entry in header.split(","):
        name, _, duration = entry.strip().partition(";dur=")
        if name in STAGES and duration:
            yield name, float(duration)
