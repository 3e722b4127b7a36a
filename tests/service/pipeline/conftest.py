from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from service.engine.batch import Result, TokenSequence
from service.pipeline.classify import ClassifyPipeline
from service.pipeline.translation.translate import TranslatePipeline
from service.repository.manifest import Limits
from service.repository.registry import Registry
from service.settings import Settings
from tests.fakes import (
    make_manifest,
    make_metrics,
    make_model,
    shout,
)
from tests.service.pipeline.stand import MakeStand, Stand, Tiny, make_stand


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[MakeStand]:
    """Starts a stand with the settings given, and stops it in the end."""
    stands: list[Stand] = []

    async def make(
        pairs: tuple[tuple[str, str], ...] = (("en", "de"), ("de", "en")),
        translate: Callable[[TokenSequence], Result] = shout,
        **settings: object,
    ) -> Stand:
        fields = {"models_dir": tmp_path, "max_batch_size": 8} | settings
        stands.append(make_stand(Settings.model_validate(fields), pairs, translate))
        return stands[-1]

    yield make
    for stand in stands:
        for runner in (stand.english, stand.korean, stand.translator):
            runner.gate.set()
        await stand.registry.stop()


@pytest.fixture
async def stand(start: MakeStand) -> Stand:
    return await start()


@pytest.fixture
async def short(start: MakeStand) -> Stand:
    """A stand whose models take ten tokens."""
    stand = await start()
    for task, name, runner in (
        ("classification", "film-en", stand.english),
        ("translation", "words", stand.translator),
    ):
        batcher = stand.registry.find_model(name, task).batcher
        await batcher.stop(1.0)
        manifest = make_manifest(task, name, limits=Limits(max_input_tokens=10))
        stand.registry.serve(make_model(manifest, runner))
    return stand


@pytest.fixture
async def tiny(tiny_repository: Path) -> AsyncIterator[Tiny]:
    fields = {"models_dir": tiny_repository, "device": "cpu", "precision": "fp32"}
    settings, metrics = Settings.model_validate(fields), make_metrics()
    registry = Registry(settings, metrics)
    await registry.start()
    yield Tiny(
        ClassifyPipeline(registry, settings, metrics),
        TranslatePipeline(registry, settings, metrics),
    )
    await registry.stop()


@pytest.fixture
async def taggers(tiny_taggers: Path) -> AsyncIterator[Registry]:
    settings = Settings(models_dir=tiny_taggers, device="cpu", engines_per_model=1)
    registry = Registry(settings, make_metrics())
    await registry.start()
    yield registry
    await registry.stop()
