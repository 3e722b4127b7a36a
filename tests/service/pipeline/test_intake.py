import asyncio
import threading
from collections.abc import Sequence
from typing import cast

import pytest

from service.answers import (
    TranslateOptions,
)
from service.errors import (
    EmptyInput,
    InputTooLong,
)
from service.pipeline.intake import MAX_INLINE_CHARS, forecast_wait, offload
from service.repository.registry import Registry
from tests.fakes import read_metric
from tests.service.pipeline.fakes import FakeRegistry
from tests.service.pipeline.stand import (
    ALL,
    MakeStand,
    Stand,
    soon,
    translate,
    wait_for_step,
)


@pytest.mark.parametrize("text", ["", "   ", "\n\t\u3000"])
async def test_empty_text_is_refused(stand: Stand, text: str) -> None:
    with pytest.raises(EmptyInput, match="text 1 is empty; send at least one"):
        await stand.classifiers.classify(["good", text], ALL, soon())
    with pytest.raises(EmptyInput, match="text 0 is empty"):
        await translate(stand, text)
    with pytest.raises(EmptyInput):
        stand.translators.detect(text)


async def test_sequence_without_texts_is_refused(stand: Stand) -> None:
    with pytest.raises(EmptyInput, match="no text"):
        await stand.classifiers.classify([], ALL, soon())


async def test_too_many_texts_are_refused(start: MakeStand) -> None:
    stand = await start(max_texts=3)

    with pytest.raises(InputTooLong, match=r"4 texts are above the limit of 3.*send fewer"):
        await stand.classifiers.classify(["good"] * 4, ALL, soon())
    await stand.classifiers.classify(["good"] * 3, ALL, soon())


async def test_too_many_characters_are_refused(start: MakeStand) -> None:
    stand = await start(max_text_chars=10)

    with pytest.raises(InputTooLong, match=r"text 0 has 11 characters.*limit of 10; split it"):
        await translate(stand, "a" * 11)
    await translate(stand, "a" * 10)


@pytest.mark.parametrize(
    ("texts", "is_inline"),
    [
        (["short"], True),
        (["x" * (MAX_INLINE_CHARS + 1)], False),
        (["x"] * (MAX_INLINE_CHARS + 1), False),
    ],
)
async def test_work_on_much_text_leaves_the_event_loop(
    texts: Sequence[str], is_inline: bool
) -> None:
    thread = await offload(texts, threading.current_thread)

    assert (thread is threading.current_thread()) == is_inline


async def test_long_document_is_translated_as_a_short_one(start: MakeStand) -> None:
    stand = await start(max_batch_size=64)
    text = "Good morning.  " * (MAX_INLINE_CHARS // 10)

    assert await translate(stand, text) == text.upper()


WRITERS = ("language", "text2text")


@pytest.mark.parametrize("waits", [[0.3], [2.0, 0.3], [0.3, 2.0]])
def test_wait_is_that_for_the_model_that_is_soonest_free(waits: list[float]) -> None:
    forecast = forecast_wait(cast(Registry, FakeRegistry(waits, WRITERS)), WRITERS)

    assert forecast is not None
    assert forecast.wait_seconds == pytest.approx(0.3, rel=0.05)


def test_without_a_model_there_is_no_wait() -> None:
    assert forecast_wait(cast(Registry, FakeRegistry([], WRITERS)), WRITERS) is None


async def test_timings_add_up(stand: Stand) -> None:
    timings = (await stand.classifiers.classify(["good"], ALL, soon())).timings

    stages = (timings.tokenize_seconds, timings.queue_seconds, timings.inference_seconds)
    assert min(stages) >= 0.0
    assert sum(stages) <= timings.total_seconds


async def test_waiting_counts_as_queue_time_not_as_inference(stand: Stand) -> None:
    stand.english.gate.clear()
    first = asyncio.create_task(stand.classifiers.classify(["good"], ALL, soon()))
    await wait_for_step(stand.english)
    second = asyncio.create_task(stand.classifiers.classify(["good"], ALL, soon()))
    await asyncio.sleep(0.05)
    stand.english.gate.set()
    await first
    timings = (await second).timings

    assert timings.queue_seconds > 0.04
    assert timings.inference_seconds < timings.queue_seconds


async def test_each_stage_is_observed_once_per_sequence_and_model(stand: Stand) -> None:
    await stand.classifiers.classify(["good", "bad", "좋다"], ALL, soon())

    for model in ("film-en", "film-ko"):
        for stage in ("tokenize", "queue", "inference"):
            count = read_metric(
                stand.metrics, "stage_duration_seconds_count", model=model, stage=stage
            )
            assert count == 1


async def test_tokens_read_and_written_are_counted(stand: Stand) -> None:
    options = TranslateOptions("en", "de", alternatives=2)
    await stand.translators.translate(["abc. de."], options, soon())

    def count(direction: str) -> float:
        return read_metric(stand.metrics, "tokens_total", model="words", direction=direction)

    assert count("input") == (4 + 1) + (3 + 1)
    assert count("output") == 4 + 3
