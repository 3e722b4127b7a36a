"""What all pipelines refuse before a body is read, and what they record once it is answered."""

from dataclasses import dataclass
from typing import ClassVar, cast

import pytest

from service.errors import Overloaded
from service.pipeline.submission import ModelBatch
from service.pipeline.task_pipeline import TaskPipeline
from service.repository.registry import Registry, ServedModel
from service.settings import Settings
from tests.fakes import (
    FakeClock,
    make_manifest,
    make_metrics,
    make_model,
    make_sequence,
    read_metric,
    sum_ids,
)
from tests.service.pipeline.fakes import FakeRegistry


class SlowTask(TaskPipeline):
    tasks: ClassVar[tuple[str, ...]] = ("classification",)


def make_pipeline(*waits: float) -> SlowTask:
    return SlowTask(cast(Registry, FakeRegistry(waits, SlowTask.tasks)), Settings(), make_metrics())


def test_a_request_is_refused_if_no_model_of_the_task_would_take_it() -> None:
    with pytest.raises(Overloaded) as caught:
        make_pipeline(2.0, 3.0).check_wait()

    assert caught.value.retry_after_seconds == pytest.approx(2.0, rel=0.3)


@pytest.mark.parametrize("waits", [(), (0.2,), (3.0, 0.2)])
def test_a_request_is_let_in_if_one_of_them_would(waits: tuple[float, ...]) -> None:
    make_pipeline(*waits).check_wait()


@dataclass
class FakeJob:
    work: list[ModelBatch]
    arrived_at: float = 1.0
    encoded_at: float = 1.5


def test_a_job_is_recorded_once_with_its_stages_and_tokens() -> None:
    metrics = make_metrics()
    pipeline = SlowTask(
        cast(Registry, FakeRegistry((), SlowTask.tasks)), Settings(), metrics, FakeClock(9.0)
    )
    sequence = make_sequence(4)
    sequence.dispatched_at, sequence.finished_at = 3.5, 6.5
    served = cast(ServedModel, make_model(make_manifest()))
    job = FakeJob([ModelBatch(served, [sequence])])

    timings = pipeline._observe(job, {sequence: sum_ids(sequence)})

    assert (timings.tokenize_seconds, timings.queue_seconds) == (0.5, 2.0)
    assert (timings.inference_seconds, timings.total_seconds) == (3.0, 8.0)
    assert read_metric(metrics, "tokens_total", model="fake", direction="input") == 4
