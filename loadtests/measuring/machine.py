"""What a run was made on and of; standard library only."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

LOAD_PACKAGES = (
    *("seqserve", "onnxruntime", "onnxruntime-gpu", "tokenizers", "uvicorn"),
    *("locust", "gevent", "geventhttpclient"),
)


def describe_machine() -> dict[str, Any]:
    """Machine, versions and date; a load test that has the service elsewhere knows only its own."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": read_commit(),
        "cpu_model": read_cpu_model(),
        "num_cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": find_own_versions(LOAD_PACKAGES),
    }


def find_own_versions(packages: Sequence[str]) -> dict[str, str]:
    installed = {package.metadata["Name"].lower() for package in metadata.distributions()}
    return {name: metadata.version(name) for name in packages if name in installed}


def read_cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []  # not on Linux
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def read_commit() -> str:
    """Of the tree that is measured, with a mark where it has changes; empty outside git."""
    folder = Path(__file__).parent
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return ""  # an image without git
    return done.stdout.strip()
