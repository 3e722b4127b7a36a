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


@pytest.fixture(scope="session")
def tiny_answerers() -> Path:
    """The same of a model that answers texts, tiny-text2text-lstm/1."""
    return Path(__file__).parent / "tiny_answerers"


@pytest.fixture(scope="session")
def tiny_taggers() -> Path:
    """The same of two taggers: tiny-tagging-gru/1 and, of text as it comes in, a lookahead of 2.

    That one is called tiny-stream-tagging-lstm/1.
    """
    return Path(__file__).parent / "tiny_taggers"
