"""How much load there is when: steady, ramp, spike, soak. Knows no locust.

Load is a number: requests per second in an open loop, users in a closed one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

SHAPES = ("steady", "ramp", "spike", "soak")
OPEN, CLOSED = "open", "closed"
SPIKE_START, SPIKE_END = 0.4, 0.6
LEAST_SECONDS = 3.0
"""Of a step: less may hold no whole second, since locust looks at its shape about once in one."""
MAX_CELLS = 1200
"""Spans of time that are kept apart; one for each second of a long run would take much memory."""


@dataclass(frozen=True)
class Step:
    """A span of constant load.

    Attributes:
        start: seconds from the start of the run.
    """

    start: float
    seconds: float
    load: int

    @property
    def end(self) -> float:
        return self.start + self.seconds


@dataclass(frozen=True)
class Shape:
    """The shape that the options ask for.

    Attributes:
        name: one of SHAPES.
        load: of steady and soak, before and after the spike, and of the ramp's first step.
        peak: of the spike, and of the ramp's last step.
        seconds: in all.
        num_steps: of the ramp.
    """

    name: str
    load: int
    peak: int
    seconds: float
    num_steps: int

    def check(self) -> None:
        """Refuses what makes no sense.

        Raises:
            ValueError: the message names the option and its bound.
        """
        if self.load < 1:
            raise ValueError("--load must be at least 1")
        if self.name in ("ramp", "spike") and self.peak <= self.load:
            raise ValueError(f"--shape {self.name} needs a --peak above its --load ({self.load})")
        if any(step.seconds < LEAST_SECONDS - 1e-6 for step in self.plan_steps()):
            raise ValueError(f"--duration must give each step {LEAST_SECONDS:g} seconds at least")

    def plan_loads(self) -> list[int]:
        if self.name == "spike":
            return [self.load, self.peak, self.load]
        if self.name == "soak":  # the same all the time; in parts, so that a drift can be seen
            return [self.load] * 10
        if self.name == "ramp":
            return spread(self.load, self.peak, self.num_steps)
        return [self.load]

    def plan_steps(self) -> list[Step]:
        """The whole run, without a gap."""
        loads = self.plan_loads()
        if self.name == "spike":
            bounds = [0.0, SPIKE_START, SPIKE_END, 1.0]
        else:
            bounds = [index / len(loads) for index in range(len(loads) + 1)]
        return [
            Step(self.seconds * start, self.seconds * (end - start), load)
            for load, start, end in zip(loads, bounds[:-1], bounds[1:], strict=True)
        ]

    @property
    def seconds_per_cell(self) -> int:
        return 1 + int(self.seconds / MAX_CELLS)


def spread(first: int, last: int, number: int) -> list[int]:
    """Spreads `number` whole numbers evenly from the first to the last."""
    if number < 2:
        return [last]
    return [round(first + (last - first) * index / (number - 1)) for index in range(number)]


def find_step(steps: Sequence[Step], seconds: float) -> Step | None:
    """The one that holds a moment of the run; None after its end."""
    return next((step for step in steps if seconds < step.end), None)
