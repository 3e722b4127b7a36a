import numpy as np
import pytest

from service.engine.batch import TokenSequence, pad_sequences, padding_ratio
from tests.fakes import make_sequence

PAD_ID = 99


def test_padding_keeps_order_and_lengths() -> None:
    batch = pad_sequences(
        [TokenSequence([5, 6, 7], 0.0, 1.0), TokenSequence([8], 0.0, 1.0)], PAD_ID
    )

    assert batch.input_ids.tolist() == [[5, 6, 7], [8, PAD_ID, PAD_ID]]
    assert batch.lengths.tolist() == [3, 1]


def test_arrays_are_int64_as_the_graphs_want_them() -> None:
    batch = pad_sequences([make_sequence(2)], PAD_ID)

    assert batch.input_ids.dtype == batch.lengths.dtype == np.int64


@pytest.mark.parametrize(
    ("lengths", "ratio"), [([4], 0.0), ([4, 4], 0.0), ([4, 2], 0.25), ([10, 1, 1], 0.6)]
)
def test_padding_ratio_is_the_share_of_padding(lengths: list[int], ratio: float) -> None:
    assert padding_ratio([make_sequence(length) for length in lengths]) == pytest.approx(ratio)


def test_translation_takes_a_row_per_beam_and_classification_one() -> None:
    assert make_sequence(beam_size=5).num_rows == 5
    assert TokenSequence([1, 2], 0.0, 1.0).num_rows == 1


def test_sequences_with_equal_content_are_different_sequences() -> None:
    assert len({make_sequence(2), make_sequence(2)}) == 2
