"""Apps over real models with random weights."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from service.http.app import create_app
from service.settings import Settings
from tests.service.http.fakes import connect


@pytest.fixture
async def client(tiny_languages: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(models_dir=tiny_languages, device="cpu"))
    await app.context.registry.start()
    async with connect(app) as client:
        yield client
    await app.context.registry.stop()


@pytest.fixture
async def answering(tiny_answerers: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(models_dir=tiny_answerers, device="cpu"))
    await app.context.registry.start()
    async with connect(app) as client:
        yield client
    await app.context.registry.stop()
