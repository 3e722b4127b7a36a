from pathlib import Path

from loadtests.bench.parts.decoder import TRANSLATOR, find_translator
from service.repository.manifest import MANIFEST


def test_translator_is_the_newest_version(tmp_path: Path) -> None:
    for version in ("2", "10"):
        folder = tmp_path / TRANSLATOR / version
        folder.mkdir(parents=True)
        (folder / MANIFEST).write_text("{}", encoding="utf-8")

    assert find_translator(tmp_path) == tmp_path / TRANSLATOR / "10"
