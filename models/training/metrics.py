"""Quality figures: accuracy, and sacreBLEU's BLEU and chrF with their signatures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sacrebleu import BLEU, CHRF

from service.text.tags import SPACE, find_runs, find_words

NUM_BINS = 15


@dataclass(frozen=True)
class Figure:
    """One quality figure.

    Attributes:
        signature: how it was computed, so that others can repeat it.
    """

    metric: str
    value: float
    signature: str


def accuracy(predicted: Sequence[int], expected: Sequence[int]) -> Figure:
    """Measures the share of correct labels, in percent."""
    right = sum(int(ours == theirs) for ours, theirs in zip(predicted, expected, strict=True))
    return Figure("accuracy", 100.0 * right / len(expected), f"percent of {len(expected)} texts")


def calibration_error(probabilities: np.ndarray, expected: Sequence[int]) -> Figure:
    """Measures the expected calibration error (Guo et al. 2017, eq. 5) in percentage points.

    Args:
        probabilities: (N, C), rows sum to one.
        expected: (N) the correct column of each row.
    """
    scores = probabilities.max(axis=-1)
    is_right = probabilities.argmax(axis=-1) == np.asarray(expected)
    bins = np.minimum((scores * NUM_BINS).astype(int), NUM_BINS - 1)
    gaps = [
        abs(float((is_right[bins == number] - scores[bins == number]).sum()))
        for number in np.unique(bins)
    ]
    signature = f"percentage points over {len(scores)} texts, {NUM_BINS} bins of equal width"
    return Figure("calibration error", 100.0 * sum(gaps) / len(scores), signature)


CHARACTER_LANGUAGES = frozenset({"ja", "km", "ko", "lo", "my", "th", "zh"})


def translation_figures(
    translations: Sequence[str], references: Sequence[str], target: str
) -> list[Figure]:
    """Measures corpus BLEU and chrF of detokenized, cased text.

    BLEU counts characters in languages without spaces between words, and in Korean, whose words
    are long. "bleu-lc" is BLEU of lower-cased tokens, as published for Multi30k with Moses'
    tokenizer; sacreBLEU's own tokenizer is equivalent here.
    """
    metrics: dict[str, BLEU | CHRF] = {
        "bleu": BLEU(tokenize="char" if target in CHARACTER_LANGUAGES else "13a"),
        "chrf": CHRF(),
    }
    if target not in CHARACTER_LANGUAGES:
        metrics["bleu-lc"] = BLEU(tokenize="13a", lowercase=True)
    return [
        Figure(
            name,
            metric.corpus_score(translations, [references]).score,
            str(metric.get_signature()),
        )
        for name, metric in metrics.items()
    ]


def tagging_figures(
    predicted: Sequence[Sequence[str]], expected: Sequence[Sequence[str]]
) -> list[Figure]:
    """Measures the labels of texts: accuracy of tokens, and F1 of what the labels mark.

    Marked are words, where the labels say where a white space belongs, else entities. Both ends and
    the name must be right.

    Args:
        predicted: labels of the tokens of each text.
        expected: the same, as they should be.
    """
    has_spaces = any(SPACE in row for row in expected)
    unit, find = ("word", find_words) if has_spaces else ("entity", find_runs)
    right = common = found = wanted = 0
    for ours, theirs in zip(predicted, expected, strict=True):
        right += sum(first == second for first, second in zip(ours, theirs, strict=True))
        runs = [set(find(row)) for row in (ours, theirs)]
        common, found, wanted = (
            common + len(runs[0] & runs[1]),
            found + len(runs[0]),
            wanted + len(runs[1]),
        )
    num_tokens = sum(map(len, expected))
    share = 2.0 * common / (found + wanted) if found + wanted else 1.0
    return [
        Figure("token accuracy", 100.0 * right / num_tokens, f"percent of {num_tokens} tokens"),
        Figure(f"{unit} F1", 100.0 * share, f"percent, {wanted} in {len(expected)} texts"),
    ]
