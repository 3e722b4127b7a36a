import math

import numpy as np
import pytest

from service.arrays import FloatArray
from service.engine.generation.sampling import (
    choose_tokens,
    draw_tokens,
    find_log_probabilities,
    keep_likeliest,
    penalize_repetition,
)

VOCAB_SIZE = 11


def make_logits(num_rows: int, seed: int = 0) -> FloatArray:
    random = np.random.default_rng(seed)
    return random.normal(0.0, 2.0, (num_rows, VOCAB_SIZE)).astype(np.float32)


def find_distribution(
    logits: FloatArray, temperature: float, top_k: int, top_p: float
) -> dict[int, float]:
    """Of one row, in plain Python: probabilities of the tokens that may be drawn."""
    scores = {token: float(logit) / temperature for token, logit in enumerate(logits)}
    ranked = sorted(scores, key=lambda token: -scores[token])
    ranked = ranked[: top_k or None]
    peak = scores[ranked[0]]
    total = sum(math.exp(scores[token] - peak) for token in ranked)
    kept, reached = [], 0.0
    for token in ranked:
        if reached >= top_p:
            break
        kept.append(token)
        reached += math.exp(scores[token] - peak) / total
    weights = {token: math.exp(scores[token] - peak) for token in sorted(kept)}
    return {token: weight / sum(weights.values()) for token, weight in weights.items()}


def choose_by_hand(logits: FloatArray, uniform: float, *options: float) -> int:
    reached = 0.0
    distribution = find_distribution(logits, options[0], int(options[1]), options[2])
    for token, probability in distribution.items():
        reached += probability
        if reached > uniform:
            return token
    return max(distribution)


OPTIONS = [
    (1.0, 0, 1.0),
    (0.7, 0, 1.0),
    (2.5, 3, 1.0),
    (1.0, 1, 1.0),
    (1.0, 0, 0.6),
    (1.3, 5, 0.8),
    (0.9, VOCAB_SIZE + 5, 0.05),
]


def test_choices_are_those_of_a_plain_implementation() -> None:
    num_rows = 40 * len(OPTIONS)
    logits = make_logits(num_rows)
    uniforms = np.random.default_rng(1).random(num_rows)
    options = [OPTIONS[row % len(OPTIONS)] for row in range(num_rows)]
    temperatures, top_k, top_p = (np.array(column) for column in zip(*options, strict=True))

    chosen = choose_tokens(
        logits, temperatures.astype(np.float32), top_k, top_p.astype(np.float32), uniforms
    )

    expected = [
        choose_by_hand(logits[row], uniforms[row], *options[row]) for row in range(num_rows)
    ]
    assert chosen.tolist() == expected


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), OPTIONS)
def test_tokens_are_drawn_as_often_as_they_are_likely(
    temperature: float, top_k: int, top_p: float
) -> None:
    num_draws = 20_000
    logits = make_logits(1, seed=4)
    chosen = choose_tokens(
        np.repeat(logits, num_draws, axis=0),
        np.full(num_draws, temperature, np.float32),
        np.full(num_draws, top_k),
        np.full(num_draws, top_p, np.float32),
        np.random.default_rng(2).random(num_draws),
    )
    counts = np.bincount(chosen, minlength=VOCAB_SIZE)

    expected = find_distribution(logits[0], temperature, top_k, top_p)
    assert set(np.flatnonzero(counts)) <= set(expected)
    # Pearson's chi-squared; with up to 10 degrees of freedom 35 has a probability of 1e-4
    likely = {token: num_draws * p for token, p in expected.items() if num_draws * p > 5}
    assert sum((counts[token] - n) ** 2 / n for token, n in likely.items()) < 35


def test_a_temperature_of_zero_takes_the_likeliest() -> None:
    logits = make_logits(5)
    temperatures = np.array([0, 1, 0, 1, 0], np.float32)
    uniforms = np.full(5, 0.999)

    chosen = choose_tokens(
        logits, temperatures, np.zeros(5, np.int64), np.ones(5, np.float32), uniforms
    )

    assert chosen[[0, 2, 4]].tolist() == logits[[0, 2, 4]].argmax(axis=1).tolist()


@pytest.mark.parametrize("uniform", [0.0, 1.0 - 2.0**-53])
def test_no_draw_gets_a_token_that_is_never_chosen(uniform: float) -> None:
    logits = np.array([[-1e9, 0.0, -1e9, 1.0, -1e9]], np.float32)

    assert draw_tokens(logits, np.array([uniform])).tolist() == [1 if uniform == 0.0 else 3]


def test_a_choice_depends_on_its_own_row_alone() -> None:
    logits, uniforms = make_logits(9), np.linspace(0.05, 0.95, 9)
    temperatures = np.tile(np.array([1.0, 0.5, 0.0], np.float32), 3)
    top_k = np.array([0, 3, 0, 2, 0, 0, 5, 0, 0])
    top_p = np.array([1, 1, 1, 0.5, 0.7, 1, 0.9, 1, 1], np.float32)

    together = choose_tokens(logits, temperatures, top_k, top_p, uniforms)

    for row in range(9):
        one = slice(row, row + 1)
        alone = choose_tokens(logits[one], temperatures[one], top_k[one], top_p[one], uniforms[one])
        assert alone.tolist() == together[one].tolist()


def test_the_nucleus_is_taken_from_the_top_k() -> None:
    scores = np.log(np.array([[0.4, 0.1, 0.3, 0.2]], np.float32))

    kept = keep_likeliest(scores, np.array([2]), np.array([0.5], np.float32))

    # of the two likeliest, the first has 0.57 of their probability
    assert np.isfinite(kept).tolist() == [[True, False, False, False]]


def test_a_penalty_lowers_the_tokens_of_the_text_once() -> None:
    logits = np.array([[2.0, -2.0, 1.0]], np.float32)

    penalized = penalize_repetition(logits, np.array([[0, 1, 1, 0]]), np.array([2.0], np.float32))

    assert penalized.tolist() == [[1.0, -4.0, 1.0]]
    assert logits.tolist() == [[2.0, -2.0, 1.0]]


def test_log_probabilities_are_those_of_the_softmax() -> None:
    logits = make_logits(3)
    exact = logits.astype(np.float64)
    expected = exact - np.log(np.exp(exact).sum(axis=1, keepdims=True))

    found = find_log_probabilities(logits, np.array([0, 4, 10]))

    assert found == pytest.approx(expected[[0, 1, 2], [0, 4, 10]], abs=1e-5)
