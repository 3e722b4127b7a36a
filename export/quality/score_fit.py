"""Fits how likely a translation is acceptable to what the search says of it.

Platt 1999, "Probabilistic outputs for support vector machines": a logistic of one score, here the
mean log-probability per token of the worst sentence, fitted on validation rows. A translation
counts as acceptable from a sentence chrF on (Popović 2015), stated with the fit.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sacrebleu import sentence_chrf

from export.quality.translate import translate_scored
from models.config import RunConfig
from models.training.data.sources import limit_rows, read_source
from service.answers import TranslateOptions
from service.arrays import ScoreArray
from service.repository.manifest import ScoreFit
from service.repository.model import LoadedModel

# Korean words are few and long, so that a right answer shares less with the reference.
THRESHOLDS = {"ko": 30.0}
THRESHOLD = 45.0
MAX_ROWS = 400  # of each source
MAX_STEPS, RIDGE = 50, 1e-3


def fit_scores(
    model: LoadedModel, config: RunConfig, data: Path, beam_size: int
) -> tuple[ScoreFit, ...]:
    """A fit for each direction, on the validation rows of all sources that have some.

    Args:
        model: the version that is fitted, as served.
        config: of its run.
        data: the data folder.
        beam_size: of the search.
    """
    sources = [source for source in config.sources if source.has_valid]
    rows = [
        row
        for source in sources
        for row in limit_rows(read_source(config, source, data, "valid"), MAX_ROWS)
    ]
    names = ", ".join(source.path for source in sources)
    fits = []
    for side, (first, second) in enumerate(config.pairs):
        options = TranslateOptions(first, second)
        found = translate_scored(model, [row[side] for row in rows], options, beam_size)
        threshold = THRESHOLDS.get(second, THRESHOLD)
        judged = [
            (
                each.log_probability,
                sentence_chrf(each.text, [row[1 - side]]).score >= threshold,
            )
            for each, row in zip(found, rows, strict=True)
            if each.log_probability is not None
        ]
        scores = np.array([score for score, _ in judged])
        labels = np.array([float(is_acceptable) for _, is_acceptable in judged])
        slope, intercept = fit_logistic(scores, labels)
        fits.append(
            ScoreFit(
                pair=f"{first}-{second}",
                slope=round(slope, 4),
                intercept=round(intercept, 4),
                data=f"validation rows of {names}",
                num_sentences=len(judged),
                threshold=threshold,
                auc=round(area_under_curve(scores, labels), 3),
            )
        )
    return tuple(fits)


def fit_logistic(scores: ScoreArray, labels: ScoreArray) -> tuple[float, float]:
    """Slope and intercept of the likeliest logistic, by Newton's method.

    Args:
        scores: (N) float64.
        labels: (N) 0 or 1.
    """
    inputs = np.stack([scores, np.ones_like(scores)], axis=1)
    weights = np.zeros(2)
    for _ in range(MAX_STEPS):
        chances = 1.0 / (1.0 + np.exp(-inputs @ weights))
        gradient = inputs.T @ (labels - chances) - RIDGE * weights
        curvature = (inputs.T * (chances * (1.0 - chances))) @ inputs + RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights += step
        if np.abs(step).max() < 1e-8:
            break
    return float(weights[0]), float(weights[1])


def area_under_curve(scores: ScoreArray, labels: ScoreArray) -> float:
    """The share of pairs, one acceptable and one not, that the scores put in the right order."""
    right, wrong = scores[labels == 1], scores[labels == 0]
    if not (len(right) and len(wrong)):
        return 0.5
    order = np.searchsorted(np.sort(wrong), right, side="left")
    ties = np.searchsorted(np.sort(wrong), right, side="right") - order
    return float((order + ties / 2).sum() / (len(right) * len(wrong)))


def describe_fits(fits: Sequence[ScoreFit]) -> str:
    return ", ".join(f"{fit.pair} {fit.auc:.2f}" for fit in fits)
