from pathlib import Path

import numpy as np
import pytest

from loadtests.bench.workloads.lengths import draw_lengths, make_texts
from loadtests.bench.workloads.shape_model import (
    DONOR,
    EMBEDDING_SIZE,
    HIDDEN_SIZE,
    draw_weights,
    find_tokenizer,
    make_shape,
)
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device
from service.repository.loader import load_model
from service.repository.manifest import MANIFEST, TOKENIZER, Precision
from service.repository.model import LoadedModel, make_sequences


def test_weights_have_the_shape_of_the_comparison() -> None:
    weights = draw_weights(100)
    assert weights["embedding.weight"].shape == (100, EMBEDDING_SIZE)
    recurrent = weights["encoder.layers.0.backward_layer.weight_hh_l0"]
    assert recurrent.shape == (4 * HIDDEN_SIZE, HIDDEN_SIZE)
    assert np.array_equal(
        recurrent, draw_weights(100)["encoder.layers.0.backward_layer.weight_hh_l0"]
    )


def test_tokenizer_is_that_of_the_newest_version(tmp_path: Path) -> None:
    for version in ("4", "10"):
        folder = tmp_path / DONOR / version
        folder.mkdir(parents=True)
        (folder / MANIFEST).write_text("{}", encoding="utf-8")

    assert find_tokenizer(tmp_path) == tmp_path / DONOR / "10" / TOKENIZER


@pytest.mark.slow
def test_precisions_of_the_wrapped_shape_agree(tmp_path: Path) -> None:
    def load(precision: Precision) -> LoadedModel:
        shape = make_shape(tmp_path / precision, precision)
        assert shape.graph.is_file()
        return load_model(shape.folder, Device("cpu"), precision=shape.precision)

    models = [load("fp32"), load("int8")]
    texts = make_texts(models[0].tokenizer, draw_lengths(20).tolist())
    plain, quantized = (
        np.array([model.probabilities(np.asarray(result)) for result in results])
        for model in models
        for results in [run_sequences(model.runner, make_sequences(model, texts))]
    )
    assert np.abs(plain - quantized).max() < 0.02
    assert plain.std(axis=0).max() > 0.0
