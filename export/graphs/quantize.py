"""Symmetric int8 quantization of weight matrices, one scale per output channel."""

import numpy as np
from numpy.typing import NDArray

MAX_LEVEL = 127
# Processors without VNNI add the products of two neighbours in 16 bits, which saturate: with an
# input of 255, the levels of a pair may add up to 128 (onnxruntime, "Quantization", S8S8 and U8S8).
MAX_PAIR = 128


def quantize_columns(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rounds a matrix to int8 with a scale for each column.

    The levels of two neighbours (rows 2k and 2k + 1) that have the same sign add up to `MAX_PAIR`
    at most, so that products with uint8 inputs are exact on every processor.

    Args:
        matrix: (K, N) float32; columns are output channels.

    Returns:
        levels (K, N) int8 in -127..127 and scales (N) float32, with matrix ~ levels * scales.
    """
    even = matrix[: len(matrix) // 2 * 2]
    pairs = np.abs(even[0::2] + even[1::2]).max(axis=0, initial=0.0)
    # rounding may add a half to each level of a pair
    peaks = np.maximum(np.abs(matrix).max(axis=0) / MAX_LEVEL, pairs / (MAX_PAIR - 1))
    # a scale must be neither zero nor subnormal, which would lose digits
    scales = np.maximum(peaks, np.finfo(np.float32).tiny).astype(np.float32)
    levels = np.clip(np.rint(matrix / scales), -MAX_LEVEL, MAX_LEVEL).astype(np.int8)
    return levels, scales
