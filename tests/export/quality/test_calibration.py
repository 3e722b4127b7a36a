from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from export.publish import export_run
from export.quality.calibration import find_temperature, fit_temperature, set_temperature
from models.networks.classifier import Classifier
from service.engine.runtime.device import Device
from service.repository.goldens import answer_golden
from service.repository.loader import load_model
from service.repository.manifest import read_manifest
from tests.export.conftest import FolderMaker, RunMaker


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.5])
def test_true_temperature_is_found(true_temperature: float) -> None:
    generator = torch.Generator().manual_seed(4)
    logits = 3.0 * torch.randn(20000, 3, generator=generator)
    chances = (logits / true_temperature).softmax(dim=-1)
    labels = torch.multinomial(chances, 1, generator=generator)[:, 0]

    found = fit_temperature(logits, labels)

    assert found == pytest.approx(true_temperature, rel=0.05)
    assert cross_entropy(logits / found, labels) <= cross_entropy(logits, labels)


def test_temperature_changes_scores_but_not_choices(random_run: RunMaker) -> None:
    model = random_run("classification", "gru").model
    assert isinstance(model, Classifier)
    input_ids, lengths = torch.randint(300, 600, (6, 9)), torch.full((6,), 9)
    with torch.no_grad():
        before = model(input_ids, lengths)
        set_temperature(model, 2.0)
        after = model(input_ids, lengths)
        set_temperature(model, 0.5)

    torch.testing.assert_close(after, before / 2.0)
    assert torch.equal(after.argmax(dim=-1), before.argmax(dim=-1))


def test_temperature_is_fitted_on_the_validation_rows(
    random_run: RunMaker, samples: Path, tmp_path: Path
) -> None:
    run = random_run("classification", "gru")
    assert isinstance(run.model, Classifier)

    # random weights are at chance level, so the flattest scores are the best
    assert find_temperature(run.model, run.config, run.tokenizer, samples) > 1.5
    with pytest.raises(FileNotFoundError):
        find_temperature(run.model, run.config, run.tokenizer, tmp_path)


def test_export_with_data_ships_calibrated_scores_and_says_so(
    tiny_run: FolderMaker, samples: Path, tmp_path: Path
) -> None:
    run_folder = tiny_run("classification", "lstm")
    plain = export_run(run_folder, tmp_path, ["fp32"])
    calibrated = export_run(run_folder, tmp_path, ["fp32"], data=samples)

    said = "Scores are calibrated on the validation data, temperature"
    assert read_manifest(plain).description == ""
    assert read_manifest(calibrated).description.startswith(said)
    assert said in (calibrated / "README.md").read_text(encoding="utf-8")
    models = [load_model(folder, Device("cpu")) for folder in (plain, calibrated)]
    golden = models[0].manifest.goldens[0]
    (label, score), (same_label, other_score) = (answer_golden(each, golden) for each in models)
    assert label == same_label
    assert score != other_score


def test_translators_are_not_calibrated(
    tiny_run: FolderMaker, samples: Path, tmp_path: Path
) -> None:
    folder = export_run(tiny_run("translation", "gru"), tmp_path, ["w8"], data=samples)

    assert read_manifest(folder).description == ""
