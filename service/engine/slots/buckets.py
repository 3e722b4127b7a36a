"""Which sizes of slots there are, and which of them a moment asks for. Pure policy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Each size is captured before the server is ready, so there are few.
ROWS = (16, 64, 256, 512)
WIDTHS = (16, 32, 64, 128)
# Of beams, whose slots are wider by their hypotheses and whose graphs are larger.
BEAM_ROWS = (16, 64, 128)
BEAM_WIDTHS = (32, 128)
# As many steps in one call cost less per token, but tokens come later, and a sentence that ends
# within a call keeps its slot to the end of it.
STEPS = (1, 8)
MANY_ROWS = 64
BEAM_STEPS = 4


@dataclass(frozen=True, order=True)
class Bucket:
    """Slots of one size.

    Attributes:
        rows: sentences at a time.
        width: source tokens of the longest one.
    """

    rows: int
    width: int


def list_buckets(max_rows: int, beam_size: int = 1) -> list[Bucket]:
    """The buckets for sentences of up to `max_rows` hypotheses in all, smallest first."""
    all_rows, widths = (ROWS, WIDTHS) if beam_size == 1 else (BEAM_ROWS, BEAM_WIDTHS)
    wanted = -(-max_rows // beam_size)
    enough = next((rows for rows in all_rows if rows >= wanted), all_rows[-1])
    return [Bucket(rows, width) for rows in all_rows if rows <= enough for width in widths]


def choose_bucket(buckets: Sequence[Bucket], num_rows: int, longest: int) -> Bucket:
    """The smallest bucket for sentences of up to `longest` source tokens.

    Raises:
        StopIteration: none is large enough.
    """
    fitting: Iterator[Bucket] = (
        bucket for bucket in buckets if bucket.rows >= num_rows and bucket.width >= longest
    )
    return next(fitting)


def choose_steps(num_rows: int) -> int:
    """Steps in one call."""
    return STEPS[1] if num_rows >= MANY_ROWS else STEPS[0]
