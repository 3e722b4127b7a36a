"""Fixtures of all tests of the service: no torch, no onnx, nothing is made."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_repository() -> Path:
    """A model repository of two models with random weights, in all precisions.

    tiny-classification-gru/1 reads Korean, tiny-translation-lstm/1 translates en-ko and ko-en. A
    test
    that changes something copies it first. tests/export/test_service_files.py compares it
    with what the export makes.
    """
    return Path(__file__).parent / "tiny_repository"


@pytest.fixture(scope="session")
def tiny_languages() -> Path:
    """A model repository of two language models with random weights, in all precisions.

    tiny-language-lstm continues texts, tiny-language-gru writes one by a label. The same test
    compares it with what `tests/export/tiny_language.py` makes.
    """
    return Path(__file__).parent / "tiny_languages"
