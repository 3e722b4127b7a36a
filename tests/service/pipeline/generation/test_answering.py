"""Texts answered by a real model with random weights, and which model answers what."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.answers import GenerateAnswer, GenerateOptions, Prompt, TokenDelta
from service.errors import EmptyInput, InputTooLong, InvalidInput, ModelNotFound
from service.pipeline.generation.generate import GeneratePipeline
from service.repository.registry import Registry
from service.settings import Settings
from tests.fakes import FakeRunner, make_generator_manifest, make_metrics, make_model

NAME = "tiny-text2text-lstm"
TEXTS = ["오늘 너무 피곤해", "뭐 먹을까?", "안녕", "이 영화 정말 재미있어요, 그렇지요?"]
GREEDY = GenerateOptions(max_new_tokens=20)
DRAWN = replace(GREEDY, temperature=1.2, seed=7, details=True)


@pytest.fixture
async def registry(tiny_answerers: Path) -> AsyncIterator[Registry]:
    fields = {"models_dir": tiny_answerers, "device": "cpu", "max_batch_size": 8}
    registry = Registry(Settings.model_validate(fields), make_metrics())
    await registry.start()
    yield registry
    await registry.stop()


@pytest.fixture
def pipeline(registry: Registry) -> GeneratePipeline:
    return GeneratePipeline(registry, Settings(), make_metrics())


async def answer(
    pipeline: GeneratePipeline, texts: list[str], options: GenerateOptions
) -> GenerateAnswer:
    return await pipeline.generate([Prompt(text) for text in texts], options, time.monotonic() + 60)


@pytest.mark.parametrize("options", [GREEDY, DRAWN])
async def test_an_answer_is_the_same_alone_and_in_company(
    pipeline: GeneratePipeline, options: GenerateOptions
) -> None:
    together = (await answer(pipeline, TEXTS, options)).texts
    alone = [(await answer(pipeline, [text], options)).texts[0] for text in TEXTS]

    assert [each.text for each in together] == [each.text for each in alone]
    assert len({each.text for each in together}) > 1
    assert all(each.num_prompt_tokens > 0 for each in together)


async def test_drawn_answers_of_a_text_differ(pipeline: GeneratePipeline) -> None:
    found = (await answer(pipeline, TEXTS[:1], replace(DRAWN, num_texts=4))).texts

    assert len({each.text for each in found}) > 1
    assert found[0] == (await answer(pipeline, TEXTS[:1], DRAWN)).texts[0]


async def test_an_answer_is_streamed_token_by_token(pipeline: GeneratePipeline) -> None:
    whole = (await answer(pipeline, TEXTS[:1], DRAWN)).texts[0]
    job = await pipeline.open_job([Prompt(TEXTS[0])], DRAWN, time.monotonic() + 60)
    deltas = [each async for each in pipeline.stream_job(job) if isinstance(each, TokenDelta)]

    assert "".join(delta.token.text for delta in deltas) == whole.text
    assert [delta.token for delta in deltas] == whole.tokens
    assert deltas[-1].finished == whole


@pytest.mark.parametrize(
    ("text", "options", "error", "message"),
    [
        ("", GREEDY, EmptyInput, f"model {NAME} answers a text, and there is none; send one"),
        ("안녕", replace(GREEDY, with_prompt=True), InvalidInput, "leave out return_full_text"),
        ("안녕 " * 80, GREEDY, InputTooLong, "above the limit of 64 of model"),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    pipeline: GeneratePipeline,
    text: str,
    options: GenerateOptions,
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        await answer(pipeline, [text], options)


async def test_the_end_of_a_long_text_is_read_if_it_may_be_cut(pipeline: GeneratePipeline) -> None:
    options = replace(GREEDY, truncate=5)
    cut = (await answer(pipeline, ["안녕 " * 80], options)).texts[0]

    assert cut.num_prompt_tokens == 5


async def test_a_model_that_waits_to_be_named_answers_nothing_else(registry: Registry) -> None:
    shy = make_generator_manifest("a-chatbot", "text2text", answers_by_default=False)
    registry.serve(make_model(shy, FakeRunner()))

    assert [each.manifest.name for each in registry.defaults_of("language", "text2text")] == [NAME]
    assert registry.find_model("a-chatbot", "text2text").manifest == shy


async def test_without_a_default_a_request_has_to_name_a_model(tiny_answerers: Path) -> None:
    registry = Registry(Settings(models_dir=tiny_answerers), make_metrics())
    shy = make_generator_manifest("a-chatbot", "text2text", answers_by_default=False)
    registry.serve(make_model(shy, FakeRunner()))
    pipeline = GeneratePipeline(registry, Settings(), make_metrics())
    try:
        with pytest.raises(ModelNotFound, match="that name none; there are a-chatbot"):
            await answer(pipeline, ["안녕"], GREEDY)
    finally:
        await registry.stop()
