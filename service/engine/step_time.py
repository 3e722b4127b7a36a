"""How long the next step will take, judged by the last ones."""

from collections.abc import Sequence

from service.engine.batch import TokenSequence
from service.engine.step_cost import PRIOR_ROWS_PER_POSITION

# So long may the event loop stand still for a step of its own.
SHORT_SECONDS = 0.02
# Weight of the latest step.
GAIN = 0.1
# How much slower than the last ones a step may count: the process may have stood still meanwhile.
MAX_RISE = 4.0


class StepTimeEstimator:
    """Seconds per position and row of a step, as a moving average.

    A position costs as much as `PRIOR_ROWS_PER_POSITION` rows, and each row once more; the moving
    average follows whatever that leaves out.
    """

    def __init__(self) -> None:
        self._seconds_per_cell = 0.0

    def observe(
        self, sequences: Sequence[TokenSequence], seconds: float, *, on_loop: bool = True
    ) -> None:
        """Notes a step over these requests.

        One on a thread takes turns with the loop, so that it can only show a quicker pace.
        """
        pace = seconds / count_cells(sequences)
        known = self._seconds_per_cell or pace
        most = MAX_RISE * known if on_loop else known
        self._seconds_per_cell = known + GAIN * (min(pace, most) - known)

    def is_short(self, sequences: Sequence[TokenSequence]) -> bool:
        """Whether the event loop can spare the time; the first step of all is always tried."""
        return self._seconds_per_cell * count_cells(sequences) <= SHORT_SECONDS


def count_cells(sequences: Sequence[TokenSequence]) -> float:
    longest = max(sequence.num_tokens for sequence in sequences)
    return (len(sequences) + PRIOR_ROWS_PER_POSITION) * longest
