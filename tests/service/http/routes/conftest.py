"""Apps over real models with random weights."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from service.http.app import create_app
from service.settings import Settings
from tests.service.http.fakes import connect


@asynccontextmanager
async def serve(models_dir: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that has the models of a folder."""
    app = create_app(Settings(models_dir=models_dir, device="cpu"))
    await app.context.registry.start()
    async with connect(app) as client:
        yield client
    await app.context.registry.stop()


@pytest.fixture
async def client(tiny_languages: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(tiny_languages) as client:
        yield client


@pytest.fixture
async def answering(tiny_answerers: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(tiny_answerers) as client:
        yield client
