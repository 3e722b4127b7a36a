"""Chooses the next token of each row from its logits; whole arrays, no loop over rows.

What a row gets depends on that row alone.
"""

import numpy as np

from service.arrays import FloatArray, IntArray, ScoreArray


def choose_tokens(
    logits: FloatArray,
    temperatures: FloatArray,
    top_k: IntArray,
    top_p: FloatArray,
    uniforms: ScoreArray,
) -> IntArray:
    """Draws a token for each row, or takes the likeliest where the temperature is 0.

    Args:
        logits: (R, V) float32; tokens that are never chosen have -1e9.
        temperatures: (R), see `SamplingOptions`.
        top_k: (R).
        top_p: (R).
        uniforms: (R) in [0, 1); decides what is drawn.

    Returns:
        (R).
    """
    token_ids: IntArray = logits.argmax(axis=1)
    drawn = np.flatnonzero(temperatures)
    if drawn.size:
        scores = logits[drawn] / temperatures[drawn, None]
        is_filtered = (top_k[drawn] > 0) | (top_p[drawn] < 1.0)
        if filtered := np.flatnonzero(is_filtered).tolist():
            rows = drawn[filtered]
            scores[filtered] = keep_likeliest(scores[filtered], top_k[rows], top_p[rows])
        token_ids[drawn] = draw_tokens(scores, uniforms[drawn])
    return token_ids


def penalize_repetition(
    logits: FloatArray, token_ids: IntArray, penalties: FloatArray
) -> FloatArray:
    """The logits with those of the tokens of the text so far lowered (Keskar et al. 2019, CTRL).

    As in transformers, a negative logit is multiplied by the penalty, a positive one divided.

    Args:
        logits: (R, V).
        token_ids: (R, C), of prompt and text so far; repeated ones count once.
        penalties: (R), > 0.
    """
    known = np.take_along_axis(logits, token_ids, axis=1)
    factors = penalties[:, None]
    penalized = logits.copy()
    lowered = np.where(known < 0.0, known * factors, known / factors)
    np.put_along_axis(penalized, token_ids, lowered, axis=1)
    return penalized


def keep_likeliest(scores: FloatArray, top_k: IntArray, top_p: FloatArray) -> FloatArray:
    """The scores, -inf where a token may not be drawn; those equal to the last one kept stay.

    Of the top_k likeliest tokens, the fewest that together have the share top_p of their
    probability (Holtzman et al. 2020, The curious case of neural text degeneration).

    Args:
        scores: (R, V), logits over temperature.
        top_k: (R), 0 for all.
        top_p: (R), in (0, 1].
    """
    vocab_size = scores.shape[1]
    ordered = -np.sort(-scores, axis=1)
    weights = np.exp(ordered - ordered[:, :1])
    num_kept = np.where(top_k > 0, top_k, vocab_size)
    weights[np.arange(vocab_size) >= num_kept[:, None]] = 0.0
    cumulative = np.cumsum(weights, axis=1, dtype=np.float64)
    before = cumulative - weights
    is_kept = (before < top_p[:, None] * cumulative[:, -1:]) & (weights > 0.0)
    last = is_kept.sum(axis=1) - 1
    lowest = np.take_along_axis(ordered, last[:, None], axis=1)
    kept: FloatArray = np.where(scores >= lowest, scores, np.float32(-np.inf))
    return kept


def draw_tokens(scores: FloatArray, uniforms: ScoreArray) -> IntArray:
    """Inverts the distribution function of each row's softmax, in the order of ids.

    Args:
        scores: (R, V); -inf for tokens that may not be drawn.
        uniforms: (R) in [0, 1).

    Returns:
        (R).
    """
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    cumulative = np.cumsum(weights, axis=1, dtype=np.float64)
    totals = cumulative[:, -1]
    # below the total even where the product is rounded up to it
    targets = np.minimum(uniforms * totals, np.nextafter(totals, 0.0))
    token_ids: IntArray = (cumulative <= targets[:, None]).sum(axis=1, dtype=np.int64)
    return token_ids


def find_log_probabilities(logits: FloatArray, token_ids: IntArray) -> FloatArray:
    """The log-softmax of logits (R, V) at token_ids (R): (R)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    chosen = np.take_along_axis(shifted, token_ids[:, None], axis=1)[:, 0]
    found: FloatArray = chosen - np.log(np.exp(shifted).sum(axis=1))
    return found
