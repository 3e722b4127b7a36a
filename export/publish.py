"""Publishes a version in the model repository, completely or not at all."""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from export.goldens import add_goldens
from models.card import write_card
from service.engine.runtime.device import Device
from service.errors import ArtefactError
from service.repository.defaults import check_defaults
from service.repository.goldens import check_goldens
from service.repository.loader import load_model
from service.repository.manifest import (
    MANIFEST,
    FileEntry,
    Manifest,
    describe_file,
    read_manifest,
    write_manifest,
)
from service.repository.versions import find_versions

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
VERSION = re.compile(r"[1-9][0-9]{0,8}")


def claim_folder(repository: Path, name: str, version: str | None) -> Path:
    """Returns the folder of a new version, by default one above the highest, without creating it.

    Raises:
        FileExistsError: the version is there already.
        ArtefactError: the name or the version is not a valid folder name.
    """
    if not NAME.fullmatch(name):
        raise ArtefactError(
            f"{name!r} is not a model name; use up to 64 of A-Z a-z 0-9 . _ -, a letter or a "
            "digit first"
        )
    version = version or next_version(repository / name)
    if not VERSION.fullmatch(version):
        raise ArtefactError(f"version {version!r} is not a positive whole number")
    folder = repository / name / version
    if folder.exists():
        raise FileExistsError(f"{folder} exists; remove it or choose another version")
    return folder


def next_version(folder: Path) -> str:
    """Returns the version number after the highest of a model."""
    versions = [int(path.name) for path in folder.glob("*") if VERSION.fullmatch(path.name)]
    return str(max(versions, default=0) + 1)


@contextlib.contextmanager
def open_scratch(repository: Path, target: Path) -> Iterator[Path]:
    """Creates a hidden scratch folder `<name>/<version>` in the repository, removed at the end."""
    repository.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=repository, prefix=".partial-") as scratch:
        folder = Path(scratch) / target.parent.name / target.name
        folder.mkdir(parents=True)
        yield folder


def describe_files(folder: Path) -> tuple[FileEntry, ...]:
    return tuple(describe_file(file) for file in sorted(folder.iterdir()) if file.name != MANIFEST)


def publish_folder(manifest: Manifest, folder: Path, target: Path) -> None:
    """Completes a version in its scratch folder, and moves it into place atomically.

    Raises:
        ArtefactError: the precisions disagree on the goldens, or another classifier of the
            repository answers by default for the same language.
        OSError: the version has been created concurrently.
    """
    check_defaults([*list_others(target), manifest])
    write_manifest(manifest, folder)
    write_manifest(add_goldens(folder), folder)
    for precision in manifest.precisions:
        check_goldens(load_model(folder, Device("cpu"), precision=precision))
    write_card(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(target)


def list_others(target: Path) -> list[Manifest]:
    """The newest versions of the other models in the repository of a version's folder."""
    repository, name = target.parent.parent, target.parent.name
    if not any(repository.glob(f"*/*/{MANIFEST}")):
        return []
    folders = find_versions(repository)
    return [read_manifest(folder) for folder in folders if folder.parent.name != name]
