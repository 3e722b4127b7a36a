"""What a request is told, and the metrics are, of translations that were cut or repeat."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.answers import TranslateAnswer, TranslateOptions, Translation
from service.engine.batch import Defect, Hypothesis, Result, TokenSequence
from service.pipeline.translation.translate import TranslatePipeline
from service.repository.manifest import Limits
from service.repository.registry import Registry
from service.settings import Settings
from service.telemetry.metrics import Metrics
from tests.fakes import (
    ByteTokenizer,
    FakeRunner,
    make_manifest,
    make_metrics,
    make_model,
    read_metric,
    shout,
)

TO_GERMAN = TranslateOptions("en", "de")
DEFECTS: dict[str, Defect] = {"LONG": "length", "AGAIN": "loop"}


def shout_with_defects(sequence: TokenSequence) -> Result:
    """As `shout`, but what says LONG is cut, what says AGAIN repeats; further ranks are cut."""
    hypotheses = shout(sequence)
    assert isinstance(hypotheses, list)
    text = ByteTokenizer().decode(hypotheses[0].token_ids)
    defect = next((defect for word, defect in DEFECTS.items() if word in text), None)
    return [
        replace(each, defect="length" if rank else defect) for rank, each in enumerate(hypotheses)
    ]


def echo_five_times(sequence: TokenSequence) -> Result:
    """A model whose translations are five times as long as their sources, cut at the limit."""
    assert sequence.search is not None
    token_ids = sequence.input_ids[:-1] * 5
    limit = sequence.search.max_new_tokens
    return [Hypothesis(token_ids[:limit], -0.1, "length" if len(token_ids) >= limit else None)]


@pytest.fixture
def metrics() -> Metrics:
    return make_metrics()


@pytest.fixture
async def pipeline(tmp_path: Path, metrics: Metrics) -> AsyncIterator[TranslatePipeline]:
    settings = Settings(models_dir=tmp_path)
    registry = Registry(settings, metrics)
    registry.serve(
        make_model(make_manifest("translation", "words"), FakeRunner(shout_with_defects))
    )
    yield TranslatePipeline(registry, settings, metrics)
    await registry.stop()


def soon() -> float:
    return time.monotonic() + 20.0


async def translate(
    pipeline: TranslatePipeline, texts: list[str], options: TranslateOptions = TO_GERMAN
) -> list[Translation]:
    return (await pipeline.translate(texts, options, soon())).translations


async def test_each_text_says_whether_it_is_complete(pipeline: TranslatePipeline) -> None:
    texts = ["one two", "one. so long. two", "again", "three"]

    found = await translate(pipeline, texts)

    assert [each.is_complete for each in found] == [True, False, False, True]


@pytest.mark.parametrize("attention", [False, True])
async def test_markup_does_not_hide_it(pipeline: TranslatePipeline, attention: bool) -> None:
    options = TranslateOptions("en", "de", text_format="html", attention=attention)
    pages = ["<p>one</p> <p>a <b>long</b> way</p>", "<p>a <b>short</b> way</p>"]

    found = await translate(pipeline, pages, options)

    assert [each.is_complete for each in found] == [False, True]


@pytest.mark.parametrize(
    "options", [TO_GERMAN, TranslateOptions("en", "de", text_format="html")], ids=["text", "html"]
)
async def test_a_stream_ends_with_it(
    pipeline: TranslatePipeline, options: TranslateOptions
) -> None:
    job = await pipeline.open_job(["again", "one"], options, soon())
    events = [each async for each in pipeline.stream_job(job)]

    answer = events[-1]
    assert isinstance(answer, TranslateAnswer)
    assert [each.is_complete for each in answer.translations] == [False, True]


async def test_text_in_the_target_language_is_complete(pipeline: TranslatePipeline) -> None:
    (found,) = await translate(pipeline, ["so long again"], TranslateOptions("de", "de"))

    assert found.is_complete


async def test_incomplete_alternatives_are_offered_only_where_nothing_is_complete(
    pipeline: TranslatePipeline,
) -> None:
    options = TranslateOptions("en", "de", alternatives=2)

    complete, cut = await translate(pipeline, ["one", "long"], options)

    assert (complete.text, complete.alternatives, complete.is_complete) == ("ONE", [], True)
    assert (cut.text, cut.alternatives, cut.is_complete) == ("LONG", ["LONGG", "LONGGG"], False)


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_each_sentence_is_counted_once_by_its_reason(
    pipeline: TranslatePipeline, metrics: Metrics, is_streamed: bool
) -> None:
    texts = ["so long. one. a long way.", "again", "two"]
    options = TranslateOptions("en", "de", beam_size=3)
    if is_streamed:
        job = await pipeline.open_job(texts, options, soon())
        _ = [each async for each in pipeline.stream_job(job)]
    else:
        await pipeline.translate(texts, options, soon())

    counts = {
        reason: read_metric(metrics, "incomplete_translations_total", model="words", reason=reason)
        for reason in ("length", "loop")
    }
    assert counts == {"length": 2.0, "loop": 1.0}


@pytest.mark.parametrize(("per_token", "is_complete"), [(2.0, False), (5.0, True)])
async def test_the_manifest_decides_what_is_too_long(
    per_token: float, is_complete: bool, tmp_path: Path, metrics: Metrics
) -> None:
    settings = Settings(models_dir=tmp_path)
    registry = Registry(settings, metrics)
    limits = Limits(max_input_tokens=100, new_tokens_per_token=per_token)
    manifest = make_manifest("translation", "words", limits=limits)
    registry.serve(make_model(manifest, FakeRunner(echo_five_times)))

    (found,) = await translate(TranslatePipeline(registry, settings, metrics), ["abcdefgh"])
    await registry.stop()

    assert found.is_complete == is_complete
    assert (found.text == "abcdefgh" * 5) == is_complete
