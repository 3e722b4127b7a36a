"""Correlations of many units with many properties, gathered in one pass over the text."""

import numpy as np
from numpy.typing import NDArray

from service.arrays import FloatArray

Matrix = NDArray[np.float64]


class Correlations:
    """Pearson's correlation of U units and P properties over all tokens that were added.

    Means are taken out by a first guess, the first token's values, so that sums of squares keep
    their digits.

    Attributes:
        num_tokens: added so far.
    """

    def __init__(self, num_units: int, num_properties: int) -> None:
        self.num_tokens = 0
        size = num_units + num_properties
        self._num_units = num_units
        self._origin: Matrix | None = None
        self._sums = np.zeros(size)
        self._squares = np.zeros(size)
        self._products = np.zeros((num_units, num_properties))

    def add(self, states: FloatArray, properties: FloatArray) -> None:
        """Adds N tokens: states (N, U) and properties (N, P)."""
        if not len(states):
            return
        rows = np.concatenate([states, properties], axis=1).astype(np.float64)
        if self._origin is None:
            self._origin = rows[0].copy()
        rows -= self._origin
        self.num_tokens += len(rows)
        self._sums += rows.sum(axis=0)
        self._squares += (rows**2).sum(axis=0)
        self._products += rows[:, : self._num_units].T @ rows[:, self._num_units :]

    def matrix(self) -> Matrix:
        """The correlations (U, P); 0 where a unit or a property never changes."""
        if not self.num_tokens:
            return np.zeros_like(self._products)
        means = self._sums / self.num_tokens
        variances = np.maximum(self._squares / self.num_tokens - means**2, 0.0)
        units, properties = slice(None, self._num_units), slice(self._num_units, None)
        covariances = self._products / self.num_tokens - np.outer(means[units], means[properties])
        scales = np.sqrt(np.outer(variances[units], variances[properties]))
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Matrix = np.where(scales > 1e-12, covariances / scales, 0.0)
        return np.clip(found, -1.0, 1.0)
