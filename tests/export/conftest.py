"""Fixtures: runs with random weights, and versions exported from them, once per task and cell."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from export.publish import export_run
from models.training.runs import Run, read_run

RunMaker = Callable[..., Run]
FolderMaker = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def random_run(tiny_run: FolderMaker) -> RunMaker:
    """Makes a run whose weights, biases included, are all random and far from zero.

    With the zero biases of a fresh one, gates or biases in a wrong order would go unnoticed.
    """

    @functools.cache
    def make(task: str, cell: str, noise: float = 0.2) -> Run:
        run = read_run(tiny_run(task, cell))
        generator = torch.Generator().manual_seed(11)
        with torch.no_grad():
            for parameter in run.model.parameters():
                parameter.add_(noise * torch.randn(parameter.shape, generator=generator))
        return run

    return make


@pytest.fixture(scope="session")
def tiny_version(tiny_run: FolderMaker, tmp_path_factory: pytest.TempPathFactory) -> FolderMaker:
    """Makes the folder of an exported version in all precisions; tests only read it."""

    @functools.cache
    def make(task: str, cell: str) -> Path:
        repository = tmp_path_factory.mktemp("repository")
        return export_run(tiny_run(task, cell), repository, ["fp32", "int8", "w8"])

    return make
