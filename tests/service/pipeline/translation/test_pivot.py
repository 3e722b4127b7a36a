import asyncio
import time
from dataclasses import dataclass, replace
from typing import cast

import pytest

from service.answers import (
    Delta,
    Started,
    Timings,
    TranslateAnswer,
    TranslateOptions,
    Translation,
)
from service.engine.scheduling.forecast import Forecast
from service.errors import DeadlineExceeded, InvalidInput, ModelNotFound, Overloaded
from service.pipeline.translation.pivot import join_halves, join_timings
from service.pipeline.translation.translate import check_onward
from service.repository.registry import Leg, ServedModel
from tests.fakes import FakeRunner, make_backlog, make_manifest, make_model, read_metric, shout
from tests.service.pipeline.stand import MakeStand, Stand, count_pending, hiss, soon, wait_for_step

TO_KOREAN = TranslateOptions("de", "ko")


@dataclass
class Halves:
    """A stand whose `words` hiss between German and English, and `second` shouts in Korean."""

    stand: Stand
    second: FakeRunner


@pytest.fixture
async def halves(start: MakeStand) -> Halves:
    return await open_halves(start)


async def open_halves(start: MakeStand, **settings: object) -> Halves:
    stand = await start(translate=hiss, **settings)
    second = FakeRunner(shout)
    pairs = (("en", "ko"), ("ko", "en"))
    stand.registry.serve(make_model(make_manifest("translation", "second", pairs=pairs), second))
    return Halves(stand, second)


async def test_direction_without_a_model_goes_through_the_pivot(halves: Halves) -> None:
    answer = await halves.stand.translators.translate(["der fön. er.\n", ""], TO_KOREAN, soon())

    assert [one.text for one in answer.translations] == ["DER FSSN. ER.\n", ""]
    assert (answer.model_name, answer.model_version) == ("words,second", "7,1")


async def test_texts_of_an_array_go_their_own_ways(halves: Halves) -> None:
    texts = [
        "The weather is nice today and we go out.",
        "Das Wetter ist heute schön und warm.",
        "안녕하세요 여러분",
        "Wir gehen heute Abend ins schöne Kino.",
    ]

    answer = await halves.stand.translators.translate(texts, TranslateOptions("auto", "ko"), soon())

    assert [one.text for one in answer.translations] == [
        "THE WEATHER IS NICE TODAY AND WE GO OUT.",
        "DAS WETTER IST HEUTE SCHSSN UND WARM.",
        "안녕하세요 여러분",
        "WIR GEHEN HEUTE ABEND INS SCHSSNE KINO.",
    ]
    assert [one.detected.language for one in answer.translations if one.detected] == [
        *("en", "de", "ko", "de"),
    ]


async def test_markup_passes_through_both_halves(halves: Halves) -> None:
    options = replace(TO_KOREAN, text_format="html")

    answer = await halves.stand.translators.translate(["<p>der <b>fön</b></p>"], options, soon())

    (translation,) = answer.translations
    assert translation.text == "<p>DER <b>FSSN</b></p>"


async def test_stream_carries_the_second_half_only(halves: Halves) -> None:
    options = TranslateOptions("auto", "ko")
    texts = [
        "The weather is nice today and we go out.",
        "Das Wetter ist heute schön und warm. Gut.",
    ]
    pipeline = halves.stand.translators

    items = [
        item async for item in pipeline.stream_job(await pipeline.open_job(texts, options, soon()))
    ]

    answer = items[-1]
    assert isinstance(answer, TranslateAnswer)
    assert [item for item in items if isinstance(item, Started)] == [Started("second,words", "1,7")]
    for index, translation in enumerate(answer.translations):
        deltas = [item.text for item in items if isinstance(item, Delta) and item.index == index]
        assert "".join(deltas) == translation.text
    expected = await pipeline.translate(texts, options, soon())
    assert answer.translations == expected.translations


async def test_pivot_can_be_turned_off(start: MakeStand) -> None:
    halves = await open_halves(start, pivot_language="off")

    with pytest.raises(ModelNotFound, match="from de to ko; there are en-de, de-en, en-ko, ko-en"):
        await halves.stand.translators.translate(["der hund"], TO_KOREAN, soon())
    targets = {one.code: one.targets for one in halves.stand.translators.languages()}
    assert targets["de"] == ["de", "en"]


async def test_languages_have_targets_through_the_pivot(halves: Halves) -> None:
    targets = {one.code: one.targets for one in halves.stand.translators.languages()}
    assert targets == {code: ["de", "en", "ko"] for code in ("en", "de", "ko")}


async def test_attention_through_the_pivot_is_refused(halves: Halves) -> None:
    options = replace(TO_KOREAN, attention=True)
    with pytest.raises(InvalidInput, match="no attention from the source; leave `attention` out"):
        await halves.stand.translators.translate(["der hund"], options, soon())
    assert halves.stand.translator.batches == []


async def test_deadline_holds_for_both_halves_together(halves: Halves) -> None:
    halves.second.gate.clear()

    with pytest.raises(DeadlineExceeded):
        await halves.stand.translators.translate(["der hund"], TO_KOREAN, time.monotonic() + 0.3)

    assert count_pending(halves.stand) == 0
    halves.second.gate.set()


async def test_cancellation_takes_back_the_second_half(halves: Halves) -> None:
    halves.second.gate.clear()
    task = asyncio.create_task(halves.stand.translators.translate(["der hund"], TO_KOREAN, soon()))
    await wait_for_step(halves.second)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert count_pending(halves.stand) == 0
    halves.second.gate.set()


async def test_each_half_is_observed_for_its_model(halves: Halves) -> None:
    answer = await halves.stand.translators.translate(["der hund"], TO_KOREAN, soon())

    for model in ("words", "second"):
        for stage in ("tokenize", "queue", "inference"):
            name, labels = "stage_duration_seconds_count", {"model": model, "stage": stage}
            assert read_metric(halves.stand.metrics, name, **labels) == 1
    timings = answer.timings
    stages = (timings.tokenize_seconds, timings.queue_seconds, timings.inference_seconds)
    assert 0.0 < sum(stages) <= timings.total_seconds


@dataclass
class SlowBatcher:
    def forecast(self) -> Forecast:
        return Forecast(make_backlog(0.7), 0.0)


@dataclass
class SlowModel:
    batcher: SlowBatcher


def test_slow_second_half_is_refused_before_the_first_begins() -> None:
    leg = Leg(cast(ServedModel, SlowModel(SlowBatcher())), "en", "ko")
    with pytest.raises(Overloaded, match=r"model slow is predicted to be 0.7 s"):
        check_onward([leg], TO_KOREAN)


def test_translation_is_complete_if_both_halves_are() -> None:
    timings = Timings(0.0, 0.0, 0.0, 0.0, 0.0)

    def answer(*are_complete: bool) -> TranslateAnswer:
        translations = [Translation("x", [], is_complete=each) for each in are_complete]
        return TranslateAnswer("a,b", "1,2", timings, translations)

    joined = join_halves(answer(True, True, False, True), answer(True, True, False), [0, 2, 3])

    assert [each.is_complete for each in joined.translations] == [True, True, False, False]


def test_timings_of_both_halves_add_up() -> None:
    first = Timings(0.1, 0.2, 0.3, 0.7, arrived_at=5.0, dispatched_at=5.3, finished_at=5.6)
    second = Timings(0.1, 0.1, 0.4, 0.7, arrived_at=5.7, dispatched_at=5.9, finished_at=6.3)

    joined = join_timings(first, second)

    assert joined.tokenize_seconds == pytest.approx(0.2)
    assert joined.queue_seconds == pytest.approx(0.3)
    assert joined.inference_seconds == pytest.approx(0.7)
    assert joined.total_seconds == pytest.approx(1.4)
    assert (joined.arrived_at, joined.dispatched_at, joined.finished_at) == (5.0, 5.3, 6.3)
