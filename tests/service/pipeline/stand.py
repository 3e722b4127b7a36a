"""A pipeline over fake models, and what tests ask of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from service.answers import (
    ClassifyOptions,
    TagAnswer,
    TagOptions,
    TranslateOptions,
)
from service.engine.batch import Result, TokenSequence
from service.pipeline.classify import ClassifyPipeline
from service.pipeline.tagging.tag import TagPipeline
from service.pipeline.translation.documents import Document, parse_text, segment
from service.pipeline.translation.reader import make_reader
from service.pipeline.translation.translate import TranslatePipeline
from service.repository.registry import Registry
from service.settings import Settings
from service.telemetry.metrics import Metrics
from tests.fakes import (
    ByteTokenizer,
    FakeRunner,
    make_manifest,
    make_metrics,
    make_model,
    make_sequence,
    score_text,
    shout,
)

ALL = ClassifyOptions()


TO_GERMAN = TranslateOptions("en", "de")


HTML = TranslateOptions("en", "de", text_format="html")


@dataclass
class Stand:
    """A pipeline over fake models; `translator` shouts, `english` likes exclamation marks."""

    classifiers: ClassifyPipeline
    translators: TranslatePipeline
    registry: Registry
    metrics: Metrics
    english: FakeRunner
    korean: FakeRunner
    translator: FakeRunner


@dataclass
class Tiny:
    """Both pipelines over real models."""

    classifiers: ClassifyPipeline
    translators: TranslatePipeline


MakeStand = Callable[..., Awaitable[Stand]]


def like_korean(sequence: TokenSequence) -> Result:
    return np.array([5.0, -5.0], dtype=np.float32)


def make_stand(
    settings: Settings,
    pairs: tuple[tuple[str, str], ...],
    translate: Callable[[TokenSequence], Result] = shout,
) -> Stand:
    metrics = make_metrics()
    registry = Registry(settings, metrics)
    english, korean = FakeRunner(score_text), FakeRunner(like_korean)
    translator = FakeRunner(translate)
    for name, language, runner in (("film-en", "en", english), ("film-ko", "ko", korean)):
        manifest = make_manifest(name=name, languages=(language,), purpose="sentiment")
        registry.serve(make_model(manifest, runner))
    manifest = make_manifest("translation", "words", pairs=pairs, version="7")
    registry.serve(make_model(manifest, translator))
    return Stand(
        ClassifyPipeline(registry, settings, metrics),
        TranslatePipeline(registry, settings, metrics),
        registry,
        metrics,
        english,
        korean,
        translator,
    )


def soon() -> float:
    return time.monotonic() + 20.0


def open_document(text: str) -> Document:
    """A plain text on its way through a translator without masks."""
    model = make_model(make_manifest("translation"))
    reader = make_reader(model, "en", TO_GERMAN, make_sequence())
    return Document(reader, None, segment(parse_text(text, "text"), reader))


async def translate(stand: Stand, text: str, options: TranslateOptions = TO_GERMAN) -> str:
    answer = await stand.translators.translate([text], options, soon())
    return answer.translations[0].text


def hiss(sequence: TokenSequence) -> Result:
    """A translation with a sharp s for each "ö", which has as many bytes."""
    hypotheses = shout(sequence)
    assert isinstance(hypotheses, list)
    tokenizer = ByteTokenizer()
    token_ids = tokenizer.encode(tokenizer.decode(sequence.input_ids).replace("ö", "ß"))
    return [replace(hypotheses[0], token_ids=token_ids)]


async def wait_for_step(runner: FakeRunner) -> None:
    assert await asyncio.to_thread(runner.entered.wait, 10.0)


def count_pending(stand: Stand) -> int:
    return sum(served.batcher.num_pending for served in stand.registry.models())


async def tag(registry: Registry, *texts: str, **options: Any) -> TagAnswer:
    pipeline = TagPipeline(registry, Settings(), make_metrics())
    job = await pipeline.open_job(texts, TagOptions(**options), time.monotonic() + 20.0)
    return await pipeline.answer_job(job)
