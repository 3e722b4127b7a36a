"""schemathesis: requests made of the OpenAPI document, valid and not, with all of its checks."""

from pathlib import Path

import pytest

from tests.clients.programs import needs, run
from tests.integration.server import ROOT, Server

# See schemathesis.toml.
ALL_LETTERS = ("--generation-codec", "utf-8", "--exclude-checks", "positive_data_acceptance")


@needs("schemathesis")
@pytest.mark.parametrize("flags", [(), ALL_LETTERS], ids=["ascii", "all-letters"])
def test_no_check_fails(flags: tuple[str, ...], tmp_path: Path, server: Server) -> None:
    run(
        *("schemathesis", "--config-file", str(ROOT / "schemathesis.toml"), "run"),
        *(server.url + "/openapi.json", "--checks", "all", "--max-examples", "20"),
        *("--seed", "1", "--no-color", *flags),
        folder=tmp_path,
        seconds=400,
    )
