import numpy as np
import pytest

from export.quantize import MAX_LEVEL, quantize_columns


def test_rounding_error_is_at_most_half_a_level() -> None:
    matrix = np.random.default_rng(3).normal(size=(40, 9)).astype(np.float32)
    levels, scales = quantize_columns(matrix)
    assert (np.abs(levels * scales - matrix) <= 0.5 * scales + 1e-6).all()


def test_each_column_uses_its_whole_range() -> None:
    matrix = np.array([[1.0, -300.0], [0.5, 2.0]], dtype=np.float32)
    levels, scales = quantize_columns(matrix)
    assert np.abs(levels).max(axis=0).tolist() == [MAX_LEVEL, MAX_LEVEL]
    assert scales == pytest.approx([1 / 127, 300 / 127])


def test_types_are_those_of_the_operators() -> None:
    levels, scales = quantize_columns(np.ones((2, 3), dtype=np.float32))
    assert levels.dtype == np.dtype(np.int8)
    assert scales.dtype == np.dtype(np.float32)


@pytest.mark.parametrize("value", [0.0, 1e-38, 1e-45])
def test_zero_column_stays_zero(value: float) -> None:
    levels, scales = quantize_columns(np.full((4, 2), value, dtype=np.float32))
    assert np.isfinite(levels * scales).all()
    assert np.abs(levels * scales).max() <= 2e-38


def test_lowest_level_is_not_used() -> None:
    # -128 has no positive counterpart, and u8 x s8 kernels overflow on it
    levels, _ = quantize_columns(np.array([[-1.0], [1.0]], dtype=np.float32))
    assert levels.tolist() == [[-127], [127]]
