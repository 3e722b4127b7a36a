"""Which versions a model repository holds, and which of them is the newest."""

import shutil
from pathlib import Path

import pytest

from service.errors import ArtefactError
from service.repository.versions import find_versions, newest_version
from tests.service.repository.copies import add_version

SENTIMENT, TRANSLATION = "tiny-classification-gru", "tiny-translation-lstm"


def test_what_is_no_version_is_passed_over(repository: Path) -> None:
    for place in ("draft", "2.partial"):
        shutil.copytree(repository / SENTIMENT / "1", repository / SENTIMENT / place)
    (repository / SENTIMENT / "3").mkdir()
    (repository / "notes.txt").write_text("not a model", encoding="utf-8")

    assert find_versions(repository) == [
        repository / name / "1" for name in (SENTIMENT, TRANSLATION)
    ]


def test_newest_version_of_a_model_is_the_highest_number(repository: Path) -> None:
    for version in ("9", "10"):
        add_version(repository, SENTIMENT, version)

    assert newest_version(repository, SENTIMENT) == repository / SENTIMENT / "10"
    assert newest_version(repository, TRANSLATION) == repository / TRANSLATION / "1"


def test_model_without_a_version_is_named(repository: Path) -> None:
    with pytest.raises(ArtefactError, match="holds no model called 'nothing'"):
        newest_version(repository, "nothing")
