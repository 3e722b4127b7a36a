import numpy as np
import pytest
from onnx import TensorProto
from onnxruntime import InferenceSession

from export.graphs.builder import GraphBuilder
from export.graphs.quantize import MAX_LEVEL, quantize_columns


def test_rounding_error_is_at_most_half_a_level() -> None:
    matrix = np.random.default_rng(3).normal(size=(40, 9)).astype(np.float32)
    levels, scales = quantize_columns(matrix)
    assert (np.abs(levels * scales - matrix) <= 0.5 * scales + 1e-6).all()


def test_each_column_uses_its_whole_range() -> None:
    matrix = np.array([[1.0, -300.0], [-0.5, 2.0]], dtype=np.float32)
    levels, scales = quantize_columns(matrix)
    assert np.abs(levels).max(axis=0).tolist() == [MAX_LEVEL, MAX_LEVEL]
    assert scales == pytest.approx([1 / 127, 300 / 127])


@pytest.mark.parametrize("num_rows", [1, 2, 5, 256])
def test_products_of_a_pair_fit_16_bits(num_rows: int) -> None:
    matrix = np.random.default_rng(4).uniform(0.5, 1.0, size=(num_rows, 300)).astype(np.float32)
    levels, _ = quantize_columns(matrix)
    largest = 255 * levels.astype(int)
    pairs = largest[0 : num_rows // 2 * 2 : 2] + largest[1::2]
    assert pairs.max(initial=0) <= np.iinfo(np.int16).max


def test_int8_products_are_exact_on_this_processor() -> None:
    """Fails without the bound on pairs where the processor has no VNNI."""
    levels, scales = quantize_columns(np.ones((64, 16), dtype=np.float32))
    graph = GraphBuilder("product")
    inputs = graph.input("inputs", TensorProto.UINT8, ["N", 64])
    product = graph.op("MatMulInteger", inputs, graph.weight("levels", levels))
    graph.output(product, "product", TensorProto.INT32, ["N", 16])
    session = InferenceSession(graph.build().SerializeToString())

    (found,) = session.run(None, {"inputs": np.full((3, 64), 255, dtype=np.uint8)})

    assert (found == 255 * levels.astype(int).sum(axis=0)).all()
    assert levels.max() * scales.max() == pytest.approx(1.0, rel=0.01)


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
