"""That the service answers as torch does, in every precision."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.networks.classifier import Classifier
from models.training.runs import read_run
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device
from service.repository.loader import load_model
from service.repository.manifest import Precision
from service.repository.model import make_sequences
from tests.reviews import REVIEWS

TOLERANCES: dict[Precision, float] = {"fp32": 1e-5, "w8": 0.04, "int8": 0.06}


@pytest.mark.parametrize("precision", TOLERANCES)
def test_torch_equals_onnx_equals_quantised(
    tiny_repository: Path, torch_classifier: Classifier, precision: Precision
) -> None:
    folder = tiny_repository / "tiny-classification-gru" / "1"
    model = load_model(folder, Device("cpu"), precision=precision)
    results = run_sequences(model.runner, make_sequences(model, REVIEWS))
    served = np.stack([model.probabilities(np.asarray(result)) for result in results])

    expected = [
        torch_classifier(torch.tensor([ids]), torch.tensor([len(ids)])).softmax(dim=-1)[0].numpy()
        for ids in model.encode(REVIEWS)
    ]

    assert np.abs(served - np.stack(expected)).max() <= TOLERANCES[precision]


@pytest.fixture(scope="module")
def torch_classifier(tiny_repository_runs: dict[str, Path]) -> Classifier:
    model = read_run(tiny_repository_runs["classification"]).model
    assert isinstance(model, Classifier)
    return model.requires_grad_(False)
