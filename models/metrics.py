"""Quality figures: accuracy, and sacreBLEU's BLEU and chrF with their signatures."""

from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu import BLEU, CHRF


@dataclass(frozen=True)
class Figure:
    """One measured quality.

    Attributes:
        signature: how it was computed, so that others can repeat it.
    """

    metric: str
    value: float
    signature: str


def accuracy(predicted: Sequence[int], expected: Sequence[int]) -> Figure:
    """Share of right labels, in percent."""
    right = sum(int(ours == theirs) for ours, theirs in zip(predicted, expected, strict=True))
    return Figure("accuracy", 100.0 * right / len(expected), f"percent of {len(expected)} texts")


def translation_figures(
    translations: Sequence[str], references: Sequence[str], target: str
) -> list[Figure]:
    """Corpus BLEU and chrF of detokenized, cased text; Korean BLEU counts characters."""
    bleu = BLEU(tokenize="char" if target == "ko" else "13a")
    chrf = CHRF()
    return [
        Figure(
            "bleu", bleu.corpus_score(translations, [references]).score, str(bleu.get_signature())
        ),
        Figure(
            "chrf", chrf.corpus_score(translations, [references]).score, str(chrf.get_signature())
        ),
    ]
