"""The versions in a model repository: `<name>/<version>/manifest.json`."""

from pathlib import Path

from service.errors import ArtefactError
from service.repository.manifest import MANIFEST


def find_versions(models_dir: Path) -> list[Path]:
    """The folder of the highest version of each model, by name.

    Raises:
        ArtefactError: there is no model at all.
    """
    newest: dict[str, Path] = {}
    for path in models_dir.glob(f"*/*/{MANIFEST}"):
        folder = path.parent
        if folder.name.isdecimal():
            best = newest.setdefault(folder.parent.name, folder)
            newest[folder.parent.name] = max(best, folder, key=lambda version: int(version.name))
    if not newest:
        raise ArtefactError(
            f"{models_dir} holds no model (<name>/<version>/{MANIFEST}); "
            "set SEQSERVE_MODELS_DIR or --models-dir"
        )
    return [newest[name] for name in sorted(newest)]


def newest_version(models_dir: Path, name: str) -> Path:
    """Finds the folder of the highest version of one model.

    Raises:
        ArtefactError: the repository holds no version of it.
    """
    for folder in find_versions(models_dir):
        if folder.parent.name == name:
            return folder
    raise ArtefactError(f"{models_dir} holds no model called {name!r}")
