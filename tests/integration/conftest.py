"""What several tests with real servers start from."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.server import MODELS_DIR
from tests.integration.workers import MODEL
from tests.signals import usual_signals


@pytest.fixture(scope="module")
def heeded_signals() -> Iterator[None]:
    """Servers started here heed SIGHUP, also if the tests run under nohup."""
    with usual_signals():
        yield


@pytest.fixture(scope="module")
def one_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of one small model, for tests that start many servers."""
    folder = tmp_path_factory.mktemp("one")
    shutil.copytree(MODELS_DIR / MODEL, folder / MODEL)
    return folder
