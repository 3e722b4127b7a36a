"""The commands that a page shows, with what it says they print."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = re.compile(r"^\$ (curl .+)\n(.+)$", re.MULTILINE)
# What a curl prints depends a little on the CPU: int8 kernels differ in rounding.
SCORE_TOLERANCE = 0.02


def read_examples(page: Path) -> list[tuple[str, str]]:
    """Each curl command of the page and the line below it."""
    return EXAMPLE.findall(page.read_text(encoding="utf-8"))


def run_curl(command: str, url: str) -> Any:
    """Runs a command that calls localhost:8000 on another server; returns the parsed answer."""
    address = url.removeprefix("http://")
    arguments = [part.replace("localhost:8000", address) for part in shlex.split(command)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def assert_alike(answer: Any, expected: Any) -> None:
    """Compares two JSON values; numbers may differ by `SCORE_TOLERANCE`."""
    if isinstance(expected, float):
        assert answer == pytest.approx(expected, abs=SCORE_TOLERANCE)
    elif isinstance(expected, list):
        assert len(answer) == len(expected)
        for one, other in zip(answer, expected, strict=True):
            assert_alike(one, other)
    elif isinstance(expected, dict):
        assert answer.keys() == expected.keys()
        for key, value in expected.items():
            assert_alike(answer[key], value)
    else:
        assert answer == expected
