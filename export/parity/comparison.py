"""Rows of probabilities, ours and those of the torch model, compared."""

import numpy as np
from numpy.typing import NDArray

from service.arrays import Array

NUM_STEPS = 4  # of a decoder or a generator
SEED = 7

Probabilities = NDArray[np.float32]


class Comparison:
    """Collects rows of probabilities, ours and the reference's."""

    def __init__(self, tie: float) -> None:
        self.max_difference = 0.0
        self._tie = tie
        self._equal = 0
        self._total = 0

    def add(self, ours: Probabilities, reference: Probabilities) -> None:
        """Compares two arrays of the same shape; NaN counts as an infinite difference."""
        difference = float(np.abs(ours - reference).max())
        self.max_difference = max(
            self.max_difference, difference if np.isfinite(difference) else np.inf
        )

    def add_choices(self, chosen: Probabilities, best: Probabilities) -> None:
        """Counts correct choices.

        Args:
            chosen: (R), the reference's probabilities of our choices.
            best: (R), its highest ones; a choice is correct if it is within the tie of them.
        """
        self._equal += int((chosen >= best - self._tie).sum())
        self._total += len(chosen)

    @property
    def agreement(self) -> float:
        return self._equal / self._total


def pick(rows: Probabilities, columns: Array) -> Probabilities:
    """Picks one column per row: (R, C) and (R) -> (R)."""
    picked: Probabilities = np.take_along_axis(rows, columns[:, None], axis=-1)[:, 0]
    return picked
