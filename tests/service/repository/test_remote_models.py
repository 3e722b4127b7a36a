import json
import shutil
from pathlib import Path

import pytest

from service.engine.runtime.device import Device
from service.errors import ArtefactError
from service.repository.loader import load_model
from service.repository.manifest import MANIFEST, TOKENIZER
from service.repository.model import LoadedModel
from service.repository.remote_models import describe_model, read_remote_models

NAME = "tiny-translation-lstm"


@pytest.fixture
def repository(tiny_repository: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_repository, tmp_path / "repository")


def test_a_front_end_has_all_of_a_model_but_its_graphs(repository: Path) -> None:
    loaded = load_model(repository / NAME / "1", Device("cpu"), precision="int8")
    for graph in (repository / NAME / "1").glob("*.onnx"):
        graph.unlink()
    (repository / NAME / "1" / "weights.bin").unlink()

    (model,) = read_remote_models(repository, [describe_model(loaded, repository)])

    assert not isinstance(model, LoadedModel)
    assert model.title == loaded.title == f"{NAME}/1 in int8 on cpu"
    assert model.manifest == loaded.manifest
    assert model.encode(["ab c"], 4) == loaded.encode(["ab c"], 4)


def test_a_manifest_that_has_changed_is_refused(repository: Path) -> None:
    hosted = describe_model(load_model(repository / NAME / "1", Device("cpu")), repository)
    path = repository / NAME / "1" / MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(manifest, indent=3), encoding="utf-8")

    with pytest.raises(ArtefactError, match="has changed since the engine process read it"):
        read_remote_models(repository, [hosted])


def test_a_tokenizer_that_is_damaged_is_refused(repository: Path) -> None:
    hosted = describe_model(load_model(repository / NAME / "1", Device("cpu")), repository)
    path = repository / NAME / "1" / TOKENIZER
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")

    with pytest.raises(ArtefactError, match="is damaged"):
        read_remote_models(repository, [hosted])
