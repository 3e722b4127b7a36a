"""The servers that all clients share: real processes with the shipped models."""

from collections.abc import Iterator

import pytest

from tests.integration.server import MODELS_DIR, Server, run_server

KEY = "a-key"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Translates by default; pages of any origin may call it."""
    log = tmp_path_factory.mktemp("server") / "log"
    with run_server(
        MODELS_DIR, log, "--default-task", "translate", "--cors-origins", "*"
    ) as running:
        yield running


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Classifies by default, and asks for a key."""
    log = tmp_path_factory.mktemp("locked") / "log"
    variables = {"SEQSERVE_API_KEYS": KEY}
    with run_server(MODELS_DIR, log, "--default-task", "classify", variables=variables) as running:
        yield running
