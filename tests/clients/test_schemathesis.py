"""schemathesis: requests made of the OpenAPI document, valid and not, with all of its checks."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.server import MODELS_DIR, run_server

ROOT = Path(__file__).parents[2]
SCHEMATHESIS = shutil.which("schemathesis", path=str(Path(sys.executable).parent))


@pytest.mark.skipif(SCHEMATHESIS is None, reason="schemathesis is not installed")
def test_no_check_fails(tmp_path: Path) -> None:
    assert SCHEMATHESIS is not None
    with run_server(MODELS_DIR, tmp_path / "log") as server:
        command = [SCHEMATHESIS, "--config-file", str(ROOT / "schemathesis.toml"), "run"]
        command += [server.url + "/openapi.json", "--checks", "all", "--max-examples", "20"]
        done = subprocess.run(
            [*command, "--seed", "1", "--no-color"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    assert done.returncode == 0, done.stdout[-4000:]
