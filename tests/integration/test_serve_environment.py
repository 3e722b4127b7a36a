"""The tests of the service run where only the server is installed; `make test-serve` runs them."""

import subprocess
import sys

from tests.integration.server import ROOT

# What the workshops and the load tests need and a server's environment lacks.
COLLECT = """
import sys
import pytest

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "sacrebleu", "locust", "matplotlib"):
            raise ModuleNotFoundError(f"a server's environment has no {name}", name=name)

sys.meta_path.insert(0, Absent())
# plain: nothing is asserted, so no module is rewritten for better messages
options = ["--collect-only", "-q", "--assert=plain", "-p", "no:cacheprovider"]
sys.exit(pytest.main([*options, "tests/service"]))
"""


def test_tests_of_the_service_need_nothing_of_the_workshops() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COLLECT], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "tests/service/test_cli.py::" in done.stdout
