"""Copies of versions, changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from service.repository.manifest import MANIFEST


def edit_manifest(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    fields = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    edit(fields)
    (folder / MANIFEST).write_text(json.dumps(fields), encoding="utf-8")


def add_version(repository: Path, name: str, version: str) -> Path:
    """A copy of version 1 under another number."""
    folder = repository / name / version
    shutil.copytree(repository / name / "1", folder)
    fields = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    (folder / MANIFEST).write_text(json.dumps(fields | {"version": version}), encoding="utf-8")
    return folder
