"""Jobs of classification and of tagging: the same checks, the same way through their models."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from service.answers import ClassifyOptions, TagOptions
from service.errors import DeadlineExceeded, EmptyInput, InputTooLong
from service.pipeline.classify import ClassifyPipeline
from service.pipeline.label_pipeline import LabelPipeline
from service.pipeline.tagging.tag import TagPipeline
from service.repository.registry import Registry
from service.settings import Settings
from tests.fakes import make_metrics
from tests.service.pipeline.stand import ALL, Stand, soon

Pipeline = LabelPipeline[Any, Any, Any]
MakePipeline = Callable[..., tuple[Pipeline, type[ClassifyOptions | TagOptions]]]


@pytest.fixture(params=["classification", "tagging"])
def make(request: pytest.FixtureRequest, stand: Stand, taggers: Registry) -> MakePipeline:
    """Makes the pipeline of a task with the settings given; returns its kind of options, too."""

    def make_pipeline(**settings: Any) -> tuple[Pipeline, type[ClassifyOptions | TagOptions]]:
        if request.param == "classification":
            pipeline = ClassifyPipeline(stand.registry, Settings(**settings), make_metrics())
            return pipeline, ClassifyOptions
        return TagPipeline(taggers, Settings(**settings), make_metrics()), TagOptions

    return make_pipeline


@pytest.mark.parametrize(
    ("texts", "error"),
    [([], EmptyInput), (["가", " "], EmptyInput), (["가" * 6], InputTooLong)],
)
async def test_texts_are_checked(
    texts: list[str], error: type[Exception], make: MakePipeline
) -> None:
    pipeline, options = make(max_text_chars=5)

    with pytest.raises(error):
        await pipeline.open_job(texts, options(), soon())


async def test_a_long_text_is_encoded_until_the_deadline(make: MakePipeline) -> None:
    pipeline, options = make()

    with pytest.raises(DeadlineExceeded):
        await pipeline.open_job(["가" * 2000], options(), time.monotonic() - 1.0)


def test_a_job_has_the_times_of_its_request(make: MakePipeline) -> None:
    pipeline, options = make()

    job = pipeline.encode_job(["가"], options(), (1.0, 2.0))

    assert (job.arrived_at, job.deadline) == (1.0, 2.0)
    assert job.encoded_at <= time.monotonic()
    (part,) = job.work
    assert [(each.arrived_at, each.deadline) for each in part.sequences] == [(1.0, 2.0)]


def test_texts_of_one_model_are_submitted_together(stand: Stand) -> None:
    job = stand.classifiers.encode_job(["good!", "좋아요", "bad"], ALL, (1.0, 2.0))

    assert (job.model_names, job.model_versions) == ("film-en,film-ko", "1,1")
    assert [len(part.sequences) for part in job.work] == [2, 1]
