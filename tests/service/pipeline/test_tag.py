"""Tagging over real models with random weights: what is checked, cut, and put together."""

import time
from collections.abc import AsyncIterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from service.answers import TagAnswer, TagOptions
from service.errors import EmptyInput, InvalidInput, LanguageNotSupported, ModelNotFound
from service.pipeline.tag import MAX_OVERLAP, TagPipeline, cut_windows
from service.pipeline.tag_stream import Pace, TagStream
from service.repository.registry import Registry
from service.settings import Settings
from tests.fakes import FakeClock, make_metrics, read_metric

STREAM = "tiny-stream-tagging-lstm"
TEXT = "나는학교에간다. 오 늘은날씨가 좋다"
ALL = frozenset[str]()


@pytest.fixture
async def registry(tiny_taggers: Path) -> AsyncIterator[Registry]:
    settings = Settings(models_dir=tiny_taggers, device="cpu", engines_per_model=1)
    registry = Registry(settings, make_metrics())
    await registry.start()
    yield registry
    await registry.stop()


async def tag(registry: Registry, *texts: str, **options: Any) -> TagAnswer:
    pipeline = TagPipeline(registry, Settings(), make_metrics())
    job = await pipeline.open_job(texts, TagOptions(**options), time.monotonic() + 20.0)
    return await pipeline.answer_job(job)


def open_stream(registry: Registry) -> TagStream:
    metrics = make_metrics().of_model(STREAM)
    return TagStream(registry.find_stream_tagger(None), 20.0, 1000, metrics)


async def test_tokens_are_located_in_the_text_as_it_was_sent(registry: Registry) -> None:
    answer = await tag(registry, f"  {TEXT}\n", ignored=ALL)
    (tagging,) = answer.taggings
    assert answer.model_name == "tiny-tagging-gru"
    assert "".join(entity.word for entity in tagging.entities) == "".join(TEXT.split())
    for entity in tagging.entities:
        assert f"  {TEXT}\n"[entity.start : entity.end] == entity.word


async def test_tokens_are_counted(registry: Registry) -> None:
    metrics = make_metrics()
    pipeline = TagPipeline(registry, Settings(), metrics)
    job = await pipeline.open_job([TEXT], TagOptions(), time.monotonic() + 20.0)

    answer = await pipeline.answer_job(job)

    counts = partial(read_metric, metrics, "tokens_total", model=answer.model_name)
    (encoded,) = job.encoded
    assert counts(direction="input") == len(encoded.spans)
    assert counts(direction="output") == 0


async def test_soft_hyphens_do_not_change_the_labels(registry: Registry) -> None:
    answer = await tag(registry, TEXT, TEXT.replace("간다", "간\u00ad다"), ignored=ALL)
    plain, hyphenated = (
        [(entity.index, entity.label) for entity in tagging.entities] for tagging in answer.taggings
    )
    assert plain == hyphenated


async def test_rendering_puts_spaces_after_the_labelled_characters(registry: Registry) -> None:
    answer = await tag(registry, TEXT, render=True)
    (tagging,) = answer.taggings
    ends = {entity.end for entity in tagging.entities}
    expected = "".join(
        character + (" " if place in ends else "")
        for place, character in enumerate(TEXT, 1)
        if character != " "
    )
    assert tagging.entities
    assert tagging.rendered == expected.strip()


async def test_decomposed_syllables_are_whole(registry: Registry) -> None:
    answer = await tag(registry, "\u1102\u1161\u1102\u1173\u11ab 간다", ignored=ALL)
    words = [entity.word for entity in answer.taggings[0].entities]
    assert words == ["\u1102\u1161", "\u1102\u1173\u11ab", "간", "다"]


async def test_texts_of_a_request_have_their_own_labels(registry: Registry) -> None:
    texts = [TEXT, "네", "오 늘은"]
    together = await tag(registry, *texts, ignored=ALL)
    for text, tagging in zip(texts, together.taggings, strict=True):
        alone = (await tag(registry, text, ignored=ALL)).taggings[0]
        assert [e.label for e in alone.entities] == [e.label for e in tagging.entities]
        assert [e.score for e in alone.entities] == pytest.approx(
            [e.score for e in tagging.entities], abs=1e-4
        )


async def test_text_longer_than_the_model_takes_is_read_in_windows(registry: Registry) -> None:
    text = TEXT * 40  # the model takes 64 tokens
    answer = await tag(registry, text, ignored=ALL)
    words = [entity.word for entity in answer.taggings[0].entities]
    assert "".join(words) == "".join(text.split())


@pytest.mark.parametrize("num_tokens", [1, 63, 64, 65, 100, 112, 113, 1000])
def test_windows_keep_each_token_once_and_overlap(num_tokens: int) -> None:
    windows = list(cut_windows(num_tokens, 64))
    kept = [
        place for window in windows for place in list(range(window.start, window.end))[window.kept]
    ]
    assert kept == list(range(num_tokens))
    assert all(window.end - window.start <= 64 for window in windows)
    assert all(
        first.end - second.start == 2 * min(MAX_OVERLAP, 16) for first, second in pairwise(windows)
    )


async def test_what_cannot_be_labelled_is_named(registry: Registry) -> None:
    with pytest.raises(EmptyInput, match="text 1 is empty"):
        await tag(registry, "가", " ")
    with pytest.raises(ModelNotFound, match="no tagging model is called 'x'"):
        await tag(registry, "가", model="x")
    with pytest.raises(LanguageNotSupported, match=r"parameters\.model"):
        await tag(registry, "ひらがなで書かれた文章です")


async def test_stream_gives_labels_after_its_lookahead_and_the_rest_at_the_end(
    registry: Registry,
) -> None:
    stream = open_stream(registry)
    ends = [(await stream.read(character)).end for character in TEXT[:5]]
    last = await stream.finish()
    assert ends == [0, 0, 1, 2, 3]
    assert (last.end, last.is_final) == (5, True)


@pytest.mark.parametrize("sizes", [[1] * 19, [3, 7, 9], [19], [0, 19]])
async def test_stream_labels_as_the_whole_text(registry: Registry, sizes: list[int]) -> None:
    whole = (await tag(registry, TEXT, model=STREAM, render=True)).taggings[0]
    stream, found, place = open_stream(registry), [], 0
    for size in sizes:
        found += (await stream.read(TEXT[place : place + size])).entities
        place += size
    last = await stream.finish()
    found += last.entities
    assert place == len(TEXT)
    assert [(e.start, e.end, e.word) for e in found] == [
        (e.start, e.end, e.word) for e in whole.entities
    ]
    assert last.rendered == whole.rendered


async def test_next_text_of_a_stream_knows_nothing_of_the_one_before(registry: Registry) -> None:
    stream = open_stream(registry)
    await stream.read("오늘은")
    await stream.finish()
    await stream.read(TEXT)
    again = await stream.finish()
    other = open_stream(registry)
    await other.read(TEXT)
    assert again == await other.finish()


async def test_stream_of_a_model_of_whole_texts_is_refused(registry: Registry) -> None:
    with pytest.raises(ModelNotFound, match=STREAM):
        registry.find_stream_tagger("tiny-tagging-gru")
    assert registry.find_tagger("ko").manifest.name == "tiny-tagging-gru"


async def test_lone_surrogate_ends_a_stream(registry: Registry) -> None:
    with pytest.raises(InvalidInput, match="surrogate"):
        await open_stream(registry).read("\ud800")


def test_pace_lets_a_second_pass_at_once_and_then_holds() -> None:
    clock = FakeClock()
    pace = Pace(10.0, clock)
    assert [pace.spend(10), pace.spend(5), pace.spend(10)] == [0.0, 0.5, 1.5]
    clock.now = 100.0
    assert pace.spend(10) == 0.0
