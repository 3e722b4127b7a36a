"""The Dockerfile, read by hadolint; `make image-test` builds and runs it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HADOLINT = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or "hadolint"


def lint(text: str) -> str:
    done = subprocess.run([HADOLINT, "-"], input=text, capture_output=True, text=True, check=False)
    return done.stdout


def test_hadolint_finds_nothing() -> None:
    assert lint((ROOT / "Dockerfile").read_text(encoding="utf-8")) == ""


@pytest.mark.parametrize(
    "bad", ["FROM python:latest\n", "FROM python:3.12\nRUN pip install flask\n"]
)
def test_hadolint_finds_what_is_wrong(bad: str) -> None:
    assert "DL" in lint(bad)


def test_context_holds_what_the_image_is_made_of_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }

    assert "*" in lines
    assert {source.removeprefix("./") for source in copied} == kept
