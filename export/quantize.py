"""Symmetric int8 quantization of weight matrices, one scale per output channel."""

import numpy as np
from numpy.typing import NDArray

MAX_LEVEL = 127


def quantize_columns(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rounds a matrix to int8 with a scale for each column.

    Args:
        matrix: (K, N) float32; columns are output channels.

    Returns:
        levels (K, N) int8 in -127..127 and scales (N) float32, with matrix ~ levels * scales.
    """
    peaks = np.abs(matrix).max(axis=0)
    # a scale must be neither zero nor subnormal, which would lose digits
    scales = np.maximum(peaks / MAX_LEVEL, np.finfo(np.float32).tiny).astype(np.float32)
    levels = np.clip(np.rint(matrix / scales), -MAX_LEVEL, MAX_LEVEL).astype(np.int8)
    return levels, scales
