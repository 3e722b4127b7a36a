import pytest

from service.engine.slots.buckets import (
    BEAM_ROWS,
    BEAM_WIDTHS,
    MANY_ROWS,
    ROWS,
    STEPS,
    WIDTHS,
    Bucket,
    choose_bucket,
    choose_steps,
    list_buckets,
)


@pytest.mark.parametrize(
    ("max_rows", "beam_size", "sizes"),
    [(1, 1, (16,)), (16, 1, (16,)), (17, 1, (16, 64)), (10_000, 1, ROWS), (64, 4, (16,))],
)
def test_no_bucket_holds_more_than_the_hypotheses_need(
    max_rows: int, beam_size: int, sizes: tuple[int, ...]
) -> None:
    widths = WIDTHS if beam_size == 1 else BEAM_WIDTHS
    expected = [Bucket(rows, width) for rows in sizes for width in widths]

    assert list_buckets(max_rows, beam_size) == expected


def test_beams_have_fewer_sizes() -> None:
    assert {bucket.rows for bucket in list_buckets(10_000, 2)} == set(BEAM_ROWS)
    assert len(list_buckets(10_000, 2)) < len(list_buckets(10_000))


@pytest.mark.parametrize(
    ("num_rows", "longest", "chosen"),
    [
        (1, 1, Bucket(16, 16)),
        (16, 17, Bucket(16, 32)),
        (17, 16, Bucket(64, 16)),
        (64, 128, Bucket(64, 128)),
    ],
)
def test_the_smallest_bucket_that_fits_is_chosen(
    num_rows: int, longest: int, chosen: Bucket
) -> None:
    assert choose_bucket(list_buckets(512), num_rows, longest) == chosen


@pytest.mark.parametrize(("num_rows", "longest"), [(513, 1), (1, 129)])
def test_what_fits_nowhere_is_an_error(num_rows: int, longest: int) -> None:
    with pytest.raises(StopIteration):
        choose_bucket(list_buckets(512), num_rows, longest)


def test_many_sentences_take_several_steps_in_one_call() -> None:
    assert choose_steps(MANY_ROWS - 1) == STEPS[0] == 1
    assert choose_steps(MANY_ROWS) == STEPS[1]
