"""Random numbers of a text that depend on its seed alone: neither on batch mates nor on time."""

import numpy as np

from service.arrays import ScoreArray


def draw_uniforms(seed: int, index: int, count: int) -> ScoreArray:
    """The first numbers of a stream, uniform in [0, 1): (count); one per token of a text.

    Philox is a counter-based generator (Salmon et al. 2011, Parallel random numbers: as easy as 1,
    2, 3): the key names the stream, and the place in it is a count. Raw numbers, unlike numpy's
    distributions, are the same in every version.

    Args:
        seed: half of the key, 64 bits.
        index: the other half.
        count: the stream goes on behind it.
    """
    stream = np.random.Philox(key=np.array([seed, index], dtype=np.uint64))
    bits = stream.random_raw(count) >> np.uint64(11)  # a double has 53
    return bits.astype(np.float64) * 2.0**-53
