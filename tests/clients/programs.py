"""Programs that a client needs and a machine may lack."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# Those of the environment that the tests run in come first.
TOOLS = Path(sys.executable).parent
PATH = f"{TOOLS}:{os.environ['PATH']}"


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skips a test, and says why, if one of the programs is missing."""
    missing = [name for name in programs if not shutil.which(name, path=PATH)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def run(*command: str, folder: Path | None = None, stdin: str = "", seconds: float = 120.0) -> str:
    """Runs a program and returns what it prints.

    Raises:
        AssertionError: it fails; the message holds the end of what it said.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        input=stdin,
        env=dict(os.environ) | {"PATH": PATH},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout + done.stderr
