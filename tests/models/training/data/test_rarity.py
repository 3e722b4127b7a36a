"""Pairs with rare words are drawn more often."""

import random
from collections import Counter

import pytest

from models.training.data.rarity import MOST, rate_pairs, sample_rated
from models.training.data.sources import Pair


def both_ways(source: str, target: str) -> list[Pair]:
    return [Pair(source, target, 1), Pair(target, source, 0)]


COMMON_PAIRS = both_ways("I see the dog", "Ich sehe den Hund") * 400
RARE_PAIRS = both_ways("I see the okapi", "Ich sehe das Okapi")


def test_a_rare_word_on_either_side_raises_the_rate() -> None:
    pairs = [*COMMON_PAIRS, *RARE_PAIRS]

    (rates,) = rate_pairs([pairs], 0.5)

    assert sum(rates) == pytest.approx(len(pairs))
    common, there, back = rates[0], rates[-2], rates[-1]
    assert there == back
    assert there / common == pytest.approx(MOST / 0.5**0.5, rel=0.01)  # 200 of 400, and 200 of 1


def test_without_power_all_are_drawn_alike() -> None:
    assert rate_pairs([[*COMMON_PAIRS[:4], *RARE_PAIRS], RARE_PAIRS], 0.0) == [[1.0] * 6, [1.0] * 2]


def test_a_source_without_pairs_or_words_is_rated() -> None:
    assert rate_pairs([[], [Pair("...", "!", 0)]], 0.5) == [[], [1.0]]


def test_pairs_are_drawn_at_their_rates() -> None:
    pairs = [Pair(str(number), "", 0) for number in range(4)]
    drawn: Counter[str] = Counter()
    rng = random.Random(3)
    for _ in range(2000):
        drawn.update(pair.source for pair in sample_rated(pairs, [0.1, 0.5, 1.0, 2.4], 1.5, rng))

    for number, rate in enumerate([0.1, 0.5, 1.0, 2.4]):
        assert drawn[str(number)] / 2000 == pytest.approx(1.5 * rate, rel=0.15)
