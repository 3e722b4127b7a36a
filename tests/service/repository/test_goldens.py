"""Golden inputs are answered again; a version that answers otherwise is rejected."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from service.engine.runtime.device import Device
from service.errors import ArtefactError, InferenceFailed
from service.repository.goldens import answer_golden, check_goldens
from service.repository.loader import load_model
from service.repository.manifest import Golden, Precision
from service.repository.model import LoadedModel
from tests.fakes import FakeRunner, make_manifest, make_model
from tests.service.repository.copies import edit_manifest

CPU = Device("cpu")
PRECISIONS: list[Precision] = ["fp32", "w8", "int8"]


@pytest.mark.parametrize("precision", ["auto", *PRECISIONS])
@pytest.mark.parametrize("name", ["tiny-classification-gru", "tiny-translation-lstm"])
def test_goldens_pass_in_every_precision(
    tiny_repository: Path, name: str, precision: Precision
) -> None:
    model = load_model(tiny_repository / name / "1", CPU, precision=precision)

    assert model.manifest.goldens
    check_goldens(model)


def falsify_golden(folder: Path, **update: object) -> LoadedModel:
    edit_manifest(folder, lambda fields: fields["goldens"][0].update(update))
    return load_model(folder, CPU, precision="fp32")


def test_golden_with_a_wrong_score_is_rejected(broken: Path) -> None:
    with pytest.raises(ArtefactError, match=r"fails its golden check .* expected .* \(0\.100\)"):
        check_goldens(falsify_golden(broken, score=0.1))


def test_golden_with_a_wrong_label_is_rejected(broken: Path) -> None:
    model = load_model(broken, CPU, precision="fp32")
    golden = model.manifest.goldens[0]
    (other,) = set(model.manifest.labels) - {golden.output}

    with pytest.raises(ArtefactError, match=f"expected '{other}'"):
        check_goldens(falsify_golden(broken, output=other, score=golden.score))


def test_golden_translation_with_a_wrong_score_is_rejected(
    translation: Path, tmp_path: Path
) -> None:
    folder = tmp_path / translation.parent.name / translation.name
    shutil.copytree(translation, folder)

    with pytest.raises(ArtefactError, match="fails its golden check"):
        check_goldens(falsify_golden(folder, score=-9.0))


def test_golden_without_tokens_is_rejected(broken: Path) -> None:
    with pytest.raises(ArtefactError, match=r"fails its golden check .*no tokens"):
        check_goldens(falsify_golden(broken, text=""))


def test_golden_on_which_the_engine_fails_is_rejected() -> None:
    runner = FakeRunner()
    runner.failures = [InferenceFailed("out of memory")]
    golden = Golden(text="good", output="positive", score=0.9)

    with pytest.raises(ArtefactError, match=r"fails its golden check .*out of memory"):
        check_goldens(make_model(make_manifest(goldens=(golden,)), runner))


def test_golden_answer_is_label_and_probability() -> None:
    model = make_model(make_manifest())

    label, probability = answer_golden(model, Golden(text="good!", output="", score=0.0))

    assert label == "positive"
    assert probability == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-5)


@pytest.mark.parametrize(("odds", "label"), [(0.1, "negative"), (0.9, "positive")])
def test_another_processor_may_turn_a_near_tie(odds: float, label: str) -> None:
    runner = FakeRunner(lambda _: np.array([0.0, odds], dtype=np.float32))
    golden = Golden(text="so so", output="negative", score=0.51)

    found, _ = answer_golden(make_model(make_manifest(), runner), golden)

    assert found == label
