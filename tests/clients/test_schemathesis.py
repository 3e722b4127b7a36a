"""schemathesis: requests made of the OpenAPI document, valid and not, with all of its checks."""

from pathlib import Path

from tests.clients.programs import needs, run
from tests.integration.server import ROOT, Server


@needs("schemathesis")
def test_no_check_fails(tmp_path: Path, server: Server) -> None:
    run(
        *("schemathesis", "--config-file", str(ROOT / "schemathesis.toml"), "run"),
        *(server.url + "/openapi.json", "--checks", "all", "--max-examples", "20"),
        *("--seed", "1", "--no-color"),
        folder=tmp_path,
        seconds=400,
    )
