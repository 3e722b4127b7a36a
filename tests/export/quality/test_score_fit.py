from pathlib import Path

import numpy as np
import pytest

from export.quality.score_fit import area_under_curve, describe_fits, fit_logistic, fit_scores
from models.config import read_run_config
from service.engine.runtime.device import Device
from service.repository.loader import load_model
from tests.export.conftest import FolderMaker


def test_logistic_finds_the_weights_that_made_the_labels() -> None:
    rng = np.random.default_rng(1)
    scores = rng.uniform(-4.0, 0.0, 20_000)
    chances = 1.0 / (1.0 + np.exp(-(2.5 * scores + 3.0)))
    labels = (rng.random(len(scores)) < chances).astype(float)

    slope, intercept = fit_logistic(scores, labels)

    assert (slope, intercept) == pytest.approx((2.5, 3.0), abs=0.15)


def test_logistic_of_labels_that_are_all_equal_is_finite() -> None:
    assert np.isfinite(fit_logistic(np.array([-1.0, -2.0]), np.ones(2))).all()


@pytest.mark.parametrize(
    ("scores", "labels", "area"),
    [
        ([-3.0, -2.0, -1.0], [0, 0, 1], 1.0),
        ([-3.0, -2.0, -1.0], [1, 0, 0], 0.0),
        ([-1.0, -1.0], [0, 1], 0.5),
        ([-1.0], [1], 0.5),
        ([-4.0, -3.0, -2.0, -1.0], [0, 1, 0, 1], 0.75),
    ],
)
def test_area_is_the_share_of_pairs_in_the_right_order(
    scores: list[float], labels: list[int], area: float
) -> None:
    assert area_under_curve(np.array(scores), np.array(labels, dtype=float)) == area


def test_each_direction_is_fitted_on_the_validation_rows(
    tiny_version: FolderMaker, tiny_run: FolderMaker, samples: Path
) -> None:
    model = load_model(tiny_version("translation", "lstm"), Device("cpu"))
    config = read_run_config(tiny_run("translation", "lstm"))

    fits = fit_scores(model, config, samples, beam_size=1)

    assert [fit.pair for fit in fits] == ["en-ko", "ko-en"]
    assert [fit.threshold for fit in fits] == [30.0, 45.0]
    assert all(fit.num_sentences > 0 and 0.0 <= fit.auc <= 1.0 for fit in fits)
    assert all(0.0 <= fit.score(-1.0) <= 1.0 for fit in fits)
    assert describe_fits(fits).startswith("en-ko ")
