import pytest

from service.answers import (
    ClassifyOptions,
)
from service.pipeline.labels import apply_function
from tests.fakes import (
    make_manifest,
    make_model,
)
from tests.service.pipeline.stand import Stand, soon


@pytest.mark.parametrize(("top_k", "count"), [(None, 2), (1, 1), (2, 2), (50, 2)])
async def test_top_k_bounds_the_labels(stand: Stand, top_k: int | None, count: int) -> None:
    answer = await stand.classifiers.classify(["good"], ClassifyOptions(top_k=top_k), soon())

    assert len(answer.labels[0]) == count


@pytest.mark.parametrize(
    ("function", "scores"),
    [("none", [4.0, 1.0]), ("sigmoid", [0.98201, 0.73106]), ("softmax", [0.95257, 0.04743])],
)
async def test_function_to_apply_is_applied(
    stand: Stand, function: str, scores: list[float]
) -> None:
    options = ClassifyOptions(function_to_apply=function)  # type: ignore[arg-type]

    answer = await stand.classifiers.classify(["good!!"], options, soon())

    assert [score.score for score in answer.labels[0]] == pytest.approx(scores, abs=1e-4)


def test_sigmoid_survives_large_logits() -> None:
    applied = apply_function(make_model(make_manifest()), [-1000.0, 0.0, 1000.0], "sigmoid")

    assert applied == [0.0, 0.5, 1.0]
