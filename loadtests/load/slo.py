"""Objectives like `p99=1500ms,errors=0.1%`, and whether a run met them."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from loadtests.load.options import parse_number, parse_seconds, parse_share, split_pairs
from loadtests.load.recorder import FIRST, LATENCY, SHED, STAGES, Cell

NAME = re.compile(
    r"(?:(?P<kind>[a-z]+)\.)?"
    rf"(?:(?P<time>{'|'.join((*STAGES, FIRST))})_)?"
    r"(?P<figure>p\d+(?:\.\d+)?|mean|max|errors|shed|rate)"
)
KNOWN = (
    "known are p50, p99, p99.9 and the like, mean, max (a time), errors, shed (a percentage), "
    "rate (answers per second, at least); before them a kind of user (chat.p99) or "
    f"{', '.join(f'{name}_' for name in (*STAGES, FIRST))} (queue_p99); "
    "load=N judges only steps that offered up to N"
)
SHARES = ("errors", "shed")


@dataclass(frozen=True)
class Objective:
    """One figure with its limit.

    Attributes:
        name: as it was typed.
        kind: of user; None for all together.
        time: which one is meant if the figure is a time.
        figure: p99, mean, max, errors, shed, rate.
        limit: milliseconds, a share of 1, or answers per second.
    """

    name: str
    kind: str | None
    time: str
    figure: str
    limit: float

    def read(self, cell: Cell, seconds: float) -> float:
        """Reads the figure; nan if there are no requests to tell it from."""
        if self.figure == "rate":
            return cell.num_ok / seconds if seconds else math.nan
        if self.figure in SHARES:
            if not cell.num_due:
                return math.nan
            number = cell.outcomes[SHED] if self.figure == "shed" else cell.num_due - cell.num_ok
            return number / cell.num_due
        times = cell.time(self.time)
        if self.figure == "mean":
            return times.mean_ms
        if self.figure == "max":
            return times.max_ms if times.count else math.nan
        return times.percentile(float(self.figure[1:]))

    def is_met(self, value: float) -> bool:
        """Whether the value keeps to the limit; one that is not known does not."""
        return value >= self.limit if self.figure == "rate" else value <= self.limit

    def show(self, value: float) -> str:
        if math.isnan(value):
            return "nothing was answered"
        if self.figure == "rate":
            return f"{value:.1f}/s"
        return f"{100 * value:.3g}%" if self.figure in SHARES else f"{value:.0f}ms"


@dataclass(frozen=True)
class Slo:
    """All objectives of one run.

    Attributes:
        max_load: only steps that offered up to this load are judged; None for all.
    """

    objectives: tuple[Objective, ...]
    max_load: float | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether one objective was met."""

    name: str
    value: str
    limit: str
    is_met: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def parse_slo(text: str, kinds: Sequence[str]) -> Slo:
    """The objectives of `p99=1500ms,errors=0.1%,load=80`.

    Raises:
        ValueError: the text is malformed; the message names the place and the known figures.
    """
    objectives, max_load = [], None
    for name, value in split_pairs(text):
        try:
            if name == "load":
                max_load = parse_number(value)
            else:
                objectives.append(parse_objective(name, value, kinds))
        except ValueError as exc:
            raise ValueError(f"{name}: {exc}") from None
    if not objectives:
        raise ValueError("load needs an objective to go with it")
    return Slo(tuple(objectives), max_load)


def parse_objective(name: str, value: str, kinds: Sequence[str]) -> Objective:
    match = NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"is not an objective; {KNOWN}")
    kind, time, figure = match["kind"], match["time"], match["figure"]
    if kind is not None and kind not in kinds:
        raise ValueError(f"unknown kind {kind!r}; known are {', '.join(kinds)}")
    if time and figure in (*SHARES, "rate"):
        raise ValueError(f"{figure} is of requests, not of {time} time")
    if figure.startswith("p") and not 0 < float(figure[1:]) <= 100:
        raise ValueError("a percentile lies above 0 and at most at 100")
    if figure == "rate":
        limit = parse_number(value)
    elif figure in SHARES:
        limit = parse_share(value)
    else:
        limit = 1000 * parse_seconds(value)
    return Objective(name, kind, time or LATENCY, figure, limit)


def judge(slo: Slo, cells: Mapping[str | None, Cell], seconds: float) -> list[Verdict]:
    """A verdict for each objective.

    Args:
        slo: see `parse_slo`.
        cells: the requests offered up to `max_load`, by kind; None holds all kinds together.
        seconds: that they cover.
    """
    verdicts = []
    for objective in slo.objectives:
        value = objective.read(cells.get(objective.kind, Cell()), seconds)
        limit, shown = objective.show(objective.limit), objective.show(value)
        verdicts.append(Verdict(objective.name, shown, limit, objective.is_met(value)))
    return verdicts
