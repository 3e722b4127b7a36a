"""Predicts how long the next step will take from the last ones."""

from collections.abc import Sequence

from service.engine.batch import TokenSequence
from service.engine.scheduling.step_cost import PRIOR_ROWS_PER_POSITION

# The longest step that the event loop may run itself. At three times the maximum full batches in
# float32 take 20 to 40 ms; on a thread of their own they and the loop kept each other waiting, and
# a refusal took 59 ms at the median instead of 6.
SHORT_SECONDS = 0.05
# Weight of the latest step.
GAIN = 0.1
# How much slower than predicted a step may count: the process may have stood still meanwhile.
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
        """Notes a step over these sequences.

        A step on a thread takes turns with the event loop, so that it can only lower the estimate.
        """
        pace = seconds / count_cells(sequences)
        known = self._seconds_per_cell or pace
        most = MAX_RISE * known if on_loop else known
        self._seconds_per_cell = known + GAIN * (min(pace, most) - known)

    def is_short(self, sequences: Sequence[TokenSequence]) -> bool:
        """Whether the event loop can spare the time; the very first step is always tried."""
        return self._seconds_per_cell * count_cells(sequences) <= SHORT_SECONDS


def count_cells(sequences: Sequence[TokenSequence]) -> float:
    longest = max(sequence.num_tokens for sequence in sequences)
    return (len(sequences) + PRIOR_ROWS_PER_POSITION) * longest
