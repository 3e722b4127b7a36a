"""Versions of the tiny models, and a copy that may be spoilt."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def sentiment(tiny_repository: Path) -> Path:
    return tiny_repository / "tiny-classification-gru" / "1"


@pytest.fixture
def translation(tiny_repository: Path) -> Path:
    return tiny_repository / "tiny-translation-lstm" / "1"


@pytest.fixture
def broken(sentiment: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    folder = tmp_path / sentiment.parent.name / sentiment.name
    shutil.copytree(sentiment, folder)
    return folder


@pytest.fixture
def repository(tiny_repository: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return Path(shutil.copytree(tiny_repository, tmp_path / "repository"))
