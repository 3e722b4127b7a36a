import json
import os
import shutil
from pathlib import Path

import pytest

from export.goldens import list_goldens
from export.torch_run import export_run
from service.errors import ArtefactError
from service.repository.goldens import answer_golden
from service.repository.manifest import Golden, read_manifest
from service.repository.model import LoadedModel
from tests.export.conftest import FolderMaker
from tests.fakes import make_manifest


@pytest.mark.parametrize("max_tokens", [1, 2])
def test_model_too_short_for_any_golden_is_rejected(
    max_tokens: int, tiny_run: FolderMaker, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(tiny_run("classification", "gru"), folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["model"]["max_tokens"] = max_tokens
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ArtefactError, match="no golden text has"):
        export_run(folder, tmp_path / "repository", ["w8"])
    assert os.listdir(tmp_path / "repository") == []


def test_text_on_which_precisions_disagree_is_not_a_golden(
    tiny_run: FolderMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(model: LoadedModel, golden: Golden) -> tuple[str, float]:
        output, score = answer_golden(model, golden)
        is_other = model.precision == "w8" and golden.text == texts[0]
        return output, score + 1.0 * is_other

    whole = read_manifest(export_run(tiny_run("classification", "gru"), tmp_path, ["int8", "w8"]))
    texts = [golden.text for golden in whole.goldens]
    monkeypatch.setattr("export.goldens.answer_golden", answer)
    folder = export_run(tiny_run("classification", "gru"), tmp_path, ["int8", "w8"])

    assert [golden.text for golden in read_manifest(folder).goldens] == texts[1:]

    monkeypatch.setattr("export.goldens.answer_golden", lambda model, _: (model.precision, 0.0))
    with pytest.raises(ArtefactError, match="int8 and w8 agree on none of"):
        export_run(tiny_run("classification", "gru"), tmp_path, ["int8", "w8"])


def test_goldens_are_texts_of_the_model_s_purpose() -> None:
    texts = [golden.text for golden in list_goldens(make_manifest(purpose="spam"))]

    assert any("free prize" in text for text in texts)
    assert texts != [golden.text for golden in list_goldens(make_manifest())]
