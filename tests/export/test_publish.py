import shutil
from pathlib import Path

import pytest

from export.publish import claim_folder, next_version, open_scratch, publish_folder
from service.errors import ArtefactError
from service.repository.manifest import read_manifest
from tests.export.conftest import FolderMaker, snapshot


def test_next_version_is_one_above_the_highest(tmp_path: Path) -> None:
    for name in ("1", "9", "10", "011", "latest", ".partial-x", "0"):
        (tmp_path / name).mkdir()
    assert next_version(tmp_path) == "11"
    assert next_version(tmp_path / "new") == "1"


def test_concurrently_created_version_is_not_overwritten(
    tiny_version: FolderMaker, tmp_path: Path
) -> None:
    made = tiny_version("classification", "gru")
    manifest = read_manifest(made)
    target = tmp_path / manifest.name / "1"
    shutil.copytree(made, target)
    before = snapshot(tmp_path)
    with open_scratch(tmp_path, target) as folder:
        shutil.copytree(made, folder, dirs_exist_ok=True)
        with pytest.raises(OSError, match=r"[Nn]ot empty"):
            publish_folder(manifest, folder, target)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["", "../evil", "a/b", ".hidden", "x" * 65, "naïve", "a b"])
def test_invalid_name_is_rejected(name: str, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="is not a model name"):
        claim_folder(tmp_path / "repository", name, None)
    assert not (tmp_path / "repository").exists()


@pytest.mark.parametrize("version", ["0", "01", "v2", "-1", "1.0", "٣", "1" * 10, "1/../2"])
def test_version_that_is_not_a_number_is_rejected(version: str, tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="is not a positive whole number"):
        claim_folder(tmp_path, "name", version)
