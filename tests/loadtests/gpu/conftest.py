"""Tiny models as `loadtests.gpu.prepare` makes them of the shipped ones."""

from pathlib import Path

import pytest

from export.torch_run import export_run
from loadtests.gpu.prepare import prepare
from tests.export.conftest import tiny_repository_runs
from tests.models.tiny_runs import samples, tiny_config, tiny_run

__all__ = ["samples", "tiny_config", "tiny_repository_runs", "tiny_run"]


@pytest.fixture(scope="session")
def prepared(
    tiny_repository_runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A classifier and a translator between English and Korean, and pairs of sentences."""
    shipped, folder = tmp_path_factory.mktemp("shipped"), tmp_path_factory.mktemp("prepared")
    for run in tiny_repository_runs.values():
        export_run(run, shipped, ["w8"])
    prepare(shipped, folder)
    return folder
