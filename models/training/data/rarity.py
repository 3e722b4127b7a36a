"""Draws pairs with rare words more often, since a word that was read a dozen times is not learnt.

A pair counts by its rarest word, with the square root (or another power) of how rare that is, as
languages are drawn in multilingual models (Arivazhagan et al. 2019, section 4).
"""

import random
from collections import Counter
from collections.abc import Sequence

from models.training.data.sources import Pair
from service.text.lexicon import find_words

COMMON = 200
"""A word that is read so often counts once."""
LEAST, MOST = 0.5, 4.0


def rate_pairs(sources: Sequence[Sequence[Pair]], power: float) -> list[list[float]]:
    """How often each pair of each source is drawn, 1 on the average of a source.

    Args:
        sources: their pairs, each of which stands in both directions or in one.
        power: 0 draws all alike, 0.5 those with a word a quarter as frequent twice as often.
    """
    counts = Counter(
        word for pairs in sources for pair in pairs for word in find_words(pair.source)
    )
    rated = []
    for pairs in sources:
        rates = [rate(pair, counts, power) for pair in pairs]
        mean = sum(rates) / max(1, len(rates))
        rated.append([each / mean for each in rates])
    return rated


def rate(pair: Pair, counts: Counter[str], power: float) -> float:
    words = find_words(f"{pair.source} {pair.target}")
    rarest = min((counts[word] for word in words), default=COMMON)
    rarity: float = (COMMON / max(1, rarest)) ** power
    return min(MOST, max(LEAST, rarity))


def sample_rated(
    pairs: Sequence[Pair], rates: Sequence[float], weight: float, rng: random.Random
) -> list[Pair]:
    """Samples pairs: one at a rate of 0.5 and weight 3 is drawn once or twice."""
    drawn: list[Pair] = []
    for pair, each in zip(pairs, rates, strict=True):
        whole, part = divmod(weight * each, 1.0)
        drawn += [pair] * (int(whole) + (rng.random() < part))
    return drawn
