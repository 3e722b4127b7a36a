"""Measures how long translations get, so that the server cuts loops and no real translation.

A translation may have a base of tokens and a number of tokens per source token. Both are high
quantiles over the training pairs: the slope of the longer half, in which single words do not
distort it, and the base that short pairs need on top of that.
"""

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models.config import RunConfig, SourceConfig
from models.training.data.sources import limit_rows, read_source, sample_weighted
from service.repository.manifest import Limits
from service.text.tokenizer import Tokenizer

# A pair in a thousand may be longer: about as many are not translations of each other.
QUANTILE = 0.999
MAX_ROWS = 50_000  # per source

Lengths = tuple[int, int]
"""Tokens of a sentence and of its translation, eos included."""


class NewTokens(NamedTuple):
    """What a translation may have: `base + per_token * source tokens`."""

    base: int
    per_token: float


def measure_limits(config: RunConfig, tokenizer: Tokenizer, data: Path) -> Limits:
    """The limits of a run's model, those of its translations measured on its training pairs.

    Raises:
        FileNotFoundError: the training data is not in the data folder.
    """
    default = Limits(max_input_tokens=config.model.max_tokens)
    pairs = read_lengths(config, tokenizer, data) if config.task == "translation" else []
    if not pairs:
        return default
    there = fit_new_tokens(pairs, default.new_tokens_base)
    back = fit_new_tokens([(target, source) for source, target in pairs], default.new_tokens_base)
    return default.model_copy(
        update={
            "new_tokens_base": max(there.base, back.base),
            "new_tokens_per_token": max(there.per_token, back.per_token),
        }
    )


def read_lengths(config: RunConfig, tokenizer: Tokenizer, data: Path) -> list[Lengths]:
    """Lengths of the training pairs, first language first, each source at its weight."""
    rng = random.Random(config.training.seed)
    pairs: list[Lengths] = []
    for source in config.sources:
        if source.weight:
            lengths = measure_source(config, source, tokenizer, data)
            pairs += sample_weighted(lengths, source.weight, rng)
    return pairs


def measure_source(
    config: RunConfig, source: SourceConfig, tokenizer: Tokenizer, data: Path
) -> list[Lengths]:
    """Lengths of one source's pairs that are neither empty nor too long to train on."""
    rows = limit_rows(read_source(config, source, data, "train"), MAX_ROWS)
    first, second = (
        [len(ids) + 1 for ids in tokenizer.encode_batch([row[side] for row in rows])]
        for side in (0, 1)
    )
    return [
        pair
        for pair in zip(first, second, strict=True)
        if min(pair) > 1 and max(pair) <= config.model.max_tokens
    ]


def fit_new_tokens(pairs: Sequence[Lengths], least_base: int) -> NewTokens:
    """What lets nearly all pairs through; the base is never below the least one."""
    sources, targets = np.array(pairs, dtype=np.float64).T
    is_long = sources >= np.median(sources)
    slope = float(np.quantile(targets[is_long] / sources[is_long], QUANTILE))
    per_token = math.ceil(100 * slope) / 100
    base = math.ceil(np.quantile(targets - per_token * sources, QUANTILE))
    return NewTokens(max(least_base, base), per_token)
