import random

import pytest

from service.engine.search.repetition import (
    MAX_PERIOD,
    MIN_REPEATED_TOKENS,
    find_repetition,
    is_loop,
)

SOURCE = list(range(100, 130))


def make_stretch(period: int, length: int) -> list[int]:
    """Tokens that do not repeat, with a stretch between them that does."""
    stretch = [place % period for place in range(length)]
    return [40, 41, 42, *stretch, 50, 51, 52]


@pytest.mark.parametrize("period", range(1, MAX_PERIOD + 1))
def test_a_stretch_within_a_sentence_is_measured(period: int) -> None:
    for length in (2 * period, 17, 40):
        assert find_repetition(make_stretch(period, length)) == length


def test_the_longest_stretch_counts() -> None:
    assert find_repetition(make_stretch(3, 9) + make_stretch(2, 14)) == 14


def test_tokens_that_come_again_out_of_turn_are_no_repetition() -> None:
    assert find_repetition([1, 2, 3, 9, 1, 2, 4, 8, 1, 3, 5]) == 0
    assert find_repetition([]) == 0


def test_longer_periods_are_no_repetition() -> None:
    assert find_repetition(make_stretch(MAX_PERIOD + 1, 60)) == 0


@pytest.mark.parametrize("period", range(1, MAX_PERIOD + 1))
def test_a_translation_is_a_loop_from_the_least_length_on(period: int) -> None:
    assert is_loop(make_stretch(period, MIN_REPEATED_TOKENS), SOURCE)
    assert not is_loop(make_stretch(period, MIN_REPEATED_TOKENS - 1), SOURCE)


@pytest.mark.parametrize(("length", "expected"), [(20, False), (21, True)])
def test_a_source_that_repeats_itself_may_have_twice_the_stretch(
    length: int, expected: bool
) -> None:
    laughter = [7] * 10
    assert is_loop([8] * length, laughter) == expected


def test_the_quick_look_overlooks_no_loop() -> None:
    rng = random.Random(5)
    for _ in range(300):
        stretch = make_stretch(rng.randint(1, MAX_PERIOD), rng.randint(2, 40))
        noise = [rng.randrange(60, 90) for _ in range(rng.randrange(20))]
        token_ids = noise + stretch
        assert is_loop(token_ids, SOURCE) == (find_repetition(token_ids) >= MIN_REPEATED_TOKENS)
