import numpy as np
import pytest

from loadtests.bench.parts.engine import (
    list_layouts,
    make_batches,
    padding_factor,
    schedule_batches,
    sort_in_fours,
)


def test_sorting_in_fours_stays_within_four_batches() -> None:
    lengths = list(range(256, 0, -1))
    ordered = sort_in_fours(lengths)
    assert sorted(ordered) == sorted(lengths)
    assert ordered[:128] == sorted(lengths[:128])
    assert ordered[128:] == sorted(lengths[128:])


def test_sorting_saves_padding() -> None:
    lengths = [5, 60] * 64
    assert padding_factor(lengths) == pytest.approx(60 / 32.5)
    assert padding_factor(sorted(lengths)) == 1.0


def test_batches_hold_every_text_once_padded_to_the_longest() -> None:
    batches = make_batches([3, 9, 4, 2, 7], 2)
    assert [batch["input_ids"].shape for batch in batches] == [(2, 9), (2, 4), (1, 7)]
    lengths = np.concatenate([batch["lengths"] for batch in batches])
    assert lengths.tolist() == [3, 9, 4, 2, 7]
    assert all(batch["input_ids"].dtype == np.int64 for batch in batches)


@pytest.mark.parametrize(
    ("num_cpus", "expected"),
    [
        (1, [(1, 1)]),
        (2, [(1, 1), (1, 2), (2, 1)]),
        (8, [(1, 1), (1, 8), (2, 4), (4, 2), (8, 1)]),
    ],
)
def test_layouts_share_out_all_processors(num_cpus: int, expected: list[tuple[int, int]]) -> None:
    assert list_layouts(num_cpus) == expected


def test_a_deeper_queue_makes_larger_batches_of_the_same_texts() -> None:
    lengths = [5, 40, 6, 41, 5, 42, 7, 40] * 8
    alone, deep = schedule_batches(lengths, 1), schedule_batches(lengths, 32)
    assert [feeds["lengths"].tolist() for feeds in alone] == [[length] for length in lengths]
    assert len(deep) < len(alone) / 4
    assert sorted(np.concatenate([feeds["lengths"] for feeds in deep]).tolist()) == sorted(lengths)
