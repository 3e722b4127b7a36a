"""A classifier with random weights in a model repository of its own, so that figures compare.

Its shape is that of the comparison tables: embedding 256, one bidirectional LSTM of 256 per
direction, mean and maximum over the text, two labels. The answers mean nothing, the time is real.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from export.graphs.networks import build_classifier
from export.wrap import WrapOptions, wrap_classifier
from loadtests.measuring.places import MODELS_DIR
from models.config import ModelConfig
from service.repository.manifest import TOKENIZER, Precision, read_manifest
from service.repository.versions import newest_version
from service.text.tokenizer import Tokenizer

DONOR = "sentiment-en"
EMBEDDING_SIZE = HIDDEN_SIZE = 256
CONFIG = ModelConfig(cell="lstm", encoder_layers=1)
LABELS = ("negative", "positive")
SEED = 7


@dataclass(frozen=True)
class ShapeModel:
    """The shape in one precision.

    Attributes:
        models_dir: a model repository that holds this model alone.
        folder: its version there.
        precision: what the graph computes in, and what `--precision` wants.
    """

    models_dir: Path
    folder: Path
    precision: Precision

    @property
    def graph(self) -> Path:
        return self.folder / read_manifest(self.folder).graphs[0].file

    @property
    def tokenizer(self) -> Path:
        return self.folder / TOKENIZER


def find_tokenizer(models_dir: Path = MODELS_DIR) -> Path:
    """Finds the tokenizer that the shape takes over: of the newest version of a shipped model."""
    return newest_version(models_dir, DONOR) / TOKENIZER


def make_shape(folder: Path, precision: Precision) -> ShapeModel:
    """Makes the graph and brings it into a repository as `python -m export wrap` does.

    The weights of all precisions are the same. `wrap` takes an int8 graph as it takes any other.
    """
    folder.mkdir(parents=True)
    tokenizer, graph = folder / TOKENIZER, folder / "brought.onnx"
    shutil.copyfile(find_tokenizer(), tokenizer)
    weights = draw_weights(Tokenizer.load(tokenizer).vocab_size)
    onnx.save(build_classifier(weights, CONFIG, precision), str(graph))
    models_dir = folder / "repository"
    version = wrap_classifier(
        WrapOptions(graph, tokenizer, LABELS, languages=("en",)), models_dir, "shape"
    )
    return ShapeModel(models_dir, version, precision)


def draw_weights(vocab_size: int) -> dict[str, NDArray[np.float32]]:
    """Weights under torch's names, in the ranges that torch gives a fresh model."""
    rng = np.random.default_rng(SEED)

    def draw(*shape: int, bound: float) -> NDArray[np.float32]:
        return rng.uniform(-bound, bound, shape).astype(np.float32)

    bound, num_gates = HIDDEN_SIZE**-0.5, 4 * HIDDEN_SIZE
    weights = {
        "embedding.weight": draw(vocab_size, EMBEDDING_SIZE, bound=0.2),
        "output.weight": draw(len(LABELS), 4 * HIDDEN_SIZE, bound=bound),
        "output.bias": draw(len(LABELS), bound=bound),
    }
    for way in ("forward", "backward"):
        prefix = f"encoder.layers.0.{way}_layer"
        weights |= {
            f"{prefix}.weight_ih_l0": draw(num_gates, EMBEDDING_SIZE, bound=bound),
            f"{prefix}.weight_hh_l0": draw(num_gates, HIDDEN_SIZE, bound=bound),
            f"{prefix}.bias_ih_l0": draw(num_gates, bound=bound),
            f"{prefix}.bias_hh_l0": draw(num_gates, bound=bound),
        }
    return weights
