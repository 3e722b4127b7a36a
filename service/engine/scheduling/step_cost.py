"""What a batch costs, learnt per model from its own steps. Knows no clock and no lock."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from service.arrays import ScoreArray

Number = TypeVar("Number", float, ScoreArray)

# Before a model has shown its own: a BiLSTM of 256 on one core has 2 in float32 and 1 in int8.
PRIOR_ROWS_PER_POSITION = 2.0
# Weight that older steps keep with each new one: some 500 steps are remembered.
KEEP = 0.998
# Steps between two fits, and before the first: a fit takes 60 us.
FIT_INTERVAL = 64
# How much slower than predicted a step may count: the process may have stood still meanwhile.
MAX_RISE = 4.0
# No batch costs more than this many rows per position, whatever a noisy fit says.
MAX_ROWS_PER_POSITION = 32.0
MAX_FIXED_CELLS = 4096.0


@dataclass(frozen=True)
class BatchOverhead:
    """What a batch costs besides its padded tokens, in padded tokens (row times position).

    Attributes:
        fixed: per batch, whatever its shape.
        per_position: per position of its longest row.
    """

    fixed: float = 0.0
    per_position: float = PRIOR_ROWS_PER_POSITION

    def cells(self, length: int) -> float:
        """Overhead of a batch whose longest row has `length` tokens."""
        return self.fixed + self.per_position * length


class StepCost:
    """Fits seconds = fixed + length * (per_position + per_cell * rows) to observed batches.

    Weighted least squares with exponential forgetting. Batches are weighted by 1 / seconds², so
    that relative errors count, and a coefficient never falls below zero.

    Attributes:
        overhead: what the scheduler weighs padding against; the prior until the fit is determined.
    """

    def __init__(self) -> None:
        self.overhead = BatchOverhead()
        self._coefficients: tuple[float, float, float] | None = None
        self._moments = np.zeros((3, 3))
        self._products = np.zeros(3)
        self._pending: list[tuple[int, int, float]] = []

    def observe(self, num_rows: int, length: int, seconds: float) -> None:
        """Notes one batch of `num_rows` rows padded to `length` tokens; seconds > 0."""
        self._pending.append((num_rows, length, seconds))
        if len(self._pending) >= FIT_INTERVAL:
            self._fit()

    def predict_seconds(self, num_rows: Number, length: Number) -> Number | None:
        """Seconds that a batch will take, or each of several; None before the first fit."""
        if self._coefficients is None:
            return None
        fixed, per_position, per_cell = self._coefficients
        return fixed + length * (per_position + per_cell * num_rows)

    def _fit(self) -> None:
        rows, lengths, seconds = np.array(self._pending).T
        known = self.predict_seconds(rows, lengths)
        if known is not None:
            seconds = np.minimum(seconds, MAX_RISE * known)
        weights = KEEP ** np.arange(len(seconds) - 1, -1, -1)
        features = np.stack([np.ones_like(lengths), lengths, lengths * rows]) / seconds
        keep = KEEP ** len(seconds)
        self._moments = keep * self._moments + (features * weights) @ features.T
        self._products = keep * self._products + features @ weights
        self._pending.clear()
        fitted = solve_nonnegative(self._moments, self._products)
        if fitted is None:
            return
        fixed, per_position, per_cell = self._coefficients = fitted
        if per_cell > 0.0:
            self.overhead = BatchOverhead(
                min(fixed / per_cell, MAX_FIXED_CELLS),
                min(per_position / per_cell, MAX_ROWS_PER_POSITION),
            )


def solve_nonnegative(
    moments: ScoreArray, products: ScoreArray
) -> tuple[float, float, float] | None:
    """Least squares from normal equations; negative coefficients are held at zero.

    Returns:
        None if the observed shapes do not determine the coefficients, for instance if all batches
        had the same number of rows.
    """
    active = [0, 1, 2]
    while active:
        scale = np.sqrt(np.diag(moments)[active])
        normalized = moments[np.ix_(active, active)] / np.outer(scale, scale)
        if np.linalg.cond(normalized) > 1e6:
            return None
        solved = np.linalg.solve(normalized, products[active] / scale) / scale
        worst = int(solved.argmin())
        if solved[worst] >= 0.0:
            coefficients = [0.0, 0.0, 0.0]
            for index, value in zip(active, solved.tolist(), strict=True):
                coefficients[index] = value
            return coefficients[0], coefficients[1], coefficients[2]
        del active[worst]
    return None
