"""Quality figures: accuracy, and sacreBLEU's BLEU and chrF with their signatures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sacrebleu import BLEU, CHRF

NUM_BINS = 15
PER_CHARACTER = " per character"


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


def f1_score(predicted: Sequence[int], expected: Sequence[int], labels: Sequence[str]) -> Figure:
    """Measures F1, the harmonic mean of precision and recall, in percent.

    Of two labels, the second one counts, which is what a text is asked to be: spam, positive.
    Of more, it is the mean of all labels' F1 ("macro").

    Args:
        predicted: (N) indices of labels.
        expected: (N) the correct ones.
        labels: names by index.
    """
    ours, theirs = np.asarray(predicted), np.asarray(expected)
    counted = range(len(labels)) if len(labels) > 2 else (1,)
    scores = [_label_f1(ours == label, theirs == label) for label in counted]
    name = "macro F1" if len(labels) > 2 else f"F1 of {labels[1]}"
    return Figure("f1", 100.0 * sum(scores) / len(scores), f"{name}, percent of {len(ours)} texts")


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


def text_figures(nats: float, num_characters: int) -> list[Figure]:
    """Measures how well a text was foreseen: mean loss in nats and in bits."""
    signature = f"mean of {num_characters} known characters, the end of a text counting as one"
    mean = nats / num_characters
    return [
        Figure(f"nats{PER_CHARACTER}", mean, signature),
        Figure(f"bits{PER_CHARACTER}", mean / math.log(2.0), signature),
    ]


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


def _label_f1(predicted: np.ndarray, expected: np.ndarray) -> float:
    """F1 of one label from (N) bool each; 0 if it is neither predicted nor expected."""
    num_right = int((predicted & expected).sum())
    return 2.0 * num_right / max(1, int(predicted.sum() + expected.sum()))
