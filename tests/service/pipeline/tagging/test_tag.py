"""Tagging over real models with random weights: what is checked, cut, and put together."""

import time
from functools import partial
from itertools import pairwise

import pytest

from service.answers import TagOptions
from service.errors import EmptyInput, LanguageNotSupported, ModelNotFound
from service.pipeline.tagging.tag import MAX_OVERLAP, TagPipeline, cut_windows
from service.repository.registry import Registry
from service.settings import Settings
from tests.fakes import make_metrics, read_metric
from tests.service.pipeline.stand import tag

TEXT = "나는학교에간다. 오 늘은날씨가 좋다"
ALL = frozenset[str]()


async def test_tokens_are_located_in_the_text_as_it_was_sent(taggers: Registry) -> None:
    answer = await tag(taggers, f"  {TEXT}\n", ignored=ALL)
    (tagging,) = answer.taggings
    assert answer.model_name == "tiny-tagging-gru"
    assert "".join(entity.word for entity in tagging.entities) == "".join(TEXT.split())
    for entity in tagging.entities:
        assert f"  {TEXT}\n"[entity.start : entity.end] == entity.word


async def test_tokens_are_counted(taggers: Registry) -> None:
    metrics = make_metrics()
    pipeline = TagPipeline(taggers, Settings(), metrics)
    job = await pipeline.open_job([TEXT], TagOptions(), time.monotonic() + 20.0)

    answer = await pipeline.answer_job(job)

    counts = partial(read_metric, metrics, "tokens_total", model=answer.model_name)
    (encoded,) = job.encoded
    assert counts(direction="input") == len(encoded.spans)
    assert counts(direction="output") == 0


async def test_soft_hyphens_do_not_change_the_labels(taggers: Registry) -> None:
    answer = await tag(taggers, TEXT, TEXT.replace("간다", "간\u00ad다"), ignored=ALL)
    plain, hyphenated = (
        [(entity.index, entity.label) for entity in tagging.entities] for tagging in answer.taggings
    )
    assert plain == hyphenated


async def test_rendering_puts_spaces_after_the_labelled_characters(taggers: Registry) -> None:
    answer = await tag(taggers, TEXT, render=True)
    (tagging,) = answer.taggings
    ends = {entity.end for entity in tagging.entities}
    expected = "".join(
        character + (" " if place in ends else "")
        for place, character in enumerate(TEXT, 1)
        if character != " "
    )
    assert tagging.entities
    assert tagging.rendered == expected.strip()


async def test_decomposed_syllables_are_whole(taggers: Registry) -> None:
    answer = await tag(taggers, "\u1102\u1161\u1102\u1173\u11ab 간다", ignored=ALL)
    words = [entity.word for entity in answer.taggings[0].entities]
    assert words == ["\u1102\u1161", "\u1102\u1173\u11ab", "간", "다"]


async def test_texts_of_a_request_have_their_own_labels(taggers: Registry) -> None:
    texts = [TEXT, "네", "오 늘은"]
    together = await tag(taggers, *texts, ignored=ALL)
    for text, tagging in zip(texts, together.taggings, strict=True):
        alone = (await tag(taggers, text, ignored=ALL)).taggings[0]
        assert [e.label for e in alone.entities] == [e.label for e in tagging.entities]
        assert [e.score for e in alone.entities] == pytest.approx(
            [e.score for e in tagging.entities], abs=1e-4
        )


async def test_text_longer_than_the_model_takes_is_read_in_windows(taggers: Registry) -> None:
    text = TEXT * 40  # the model takes 64 tokens
    answer = await tag(taggers, text, ignored=ALL)
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


async def test_what_cannot_be_labelled_is_named(taggers: Registry) -> None:
    with pytest.raises(EmptyInput, match="text 1 is empty"):
        await tag(taggers, "가", " ")
    with pytest.raises(ModelNotFound, match="no tagging model is called 'x'"):
        await tag(taggers, "가", model="x")
    with pytest.raises(LanguageNotSupported, match=r"parameters\.model"):
        await tag(taggers, "ひらがなで書かれた文章です")
