"""Weights that a run starts from: those of another run, or of a version in the model repository.

A version holds no torch checkpoint. Its weights are read from its graphs, int8 levels times their
scales, so that they are as exact as what is served.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from models.networks.gates import Matrix, restore_gates
from models.training.trainer import BEST, read_seconds
from models.training.vocabulary.subwords import transfer_rows
from service.repository.manifest import (
    MANIFEST,
    PAIRED,
    TOKENIZER,
    Manifest,
    Precision,
    read_manifest,
)
from service.text.tokenizer import Tokenizer

# Those that hold every weight in full, best first.
PRECISIONS: tuple[Precision, ...] = ("fp32", "w8")
# Below this, the bias of a token was replaced by the export so that it is never chosen.
NEVER = -1e6
# Rows that belong to a token each.
BY_TOKEN = ("embedding.weight", "output_bias")


def load_initial(folder: Path, tokenizer: Tokenizer) -> tuple[dict[str, Tensor], float]:
    """Weights by their torch names, and the seconds of training behind them.

    If the tokenizer is not the folder's own, the rows of its tokens are made from those of the
    tokens that spell them in the old vocabulary.

    Raises:
        OSError: the folder holds neither a run nor a version.
        ValueError: the version has no graphs to read weights from.
        ArtefactError: the version's manifest or tokenizer is damaged.
    """
    if (folder / MANIFEST).is_file():
        weights, seconds = (
            read_version(folder),
            60.0 * (read_manifest(folder).trained_minutes or 0.0),
        )
    else:
        weights = torch.load(folder / BEST, map_location="cpu", weights_only=True)
        seconds = read_seconds(folder) or 0.0
    if (folder / TOKENIZER).is_file():
        old = Tokenizer.load(folder / TOKENIZER)
        if old.to_json() != tokenizer.to_json():
            weights |= {
                name: transfer_rows(weights[name], old, tokenizer)
                for name in BY_TOKEN
                if name in weights
            }
    return weights, seconds


def read_version(folder: Path) -> dict[str, Tensor]:
    """The weights of a version that `export torch` made, float32, by their torch names.

    Raises:
        ValueError: it has no graphs in float32 or w8, or was not made from our networks.
    """
    manifest = read_manifest(folder)
    precision = next((each for each in PRECISIONS if each in manifest.precisions), None)
    if precision is None:
        raise ValueError(f"{folder} has graphs in {', '.join(manifest.precisions)} alone")
    parts: dict[str, Matrix] = {}
    for graph in manifest.graphs:
        if graph.precision == precision:
            parts |= read_parts(folder / graph.file)
    try:
        arrays = dict(name_weights(manifest, parts))
    except KeyError as exc:
        raise ValueError(
            f"{folder} has no weight {exc}; it was not made from our networks"
        ) from exc
    return {name: torch.tensor(array) for name, array in arrays.items()}


def read_parts(path: Path) -> dict[str, Matrix]:
    """Constants of a graph by name; (levels, scales) pairs as one float32 array."""
    model = onnx.load(str(path))
    arrays = {
        each.name: numpy_helper.to_array(each)
        for each in model.graph.initializer
        if each.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.INT8)
    }
    parts: dict[str, Matrix] = {}
    for name, array in arrays.items():
        base = name.removesuffix(".levels")
        if base == name:
            parts[name] = array
            continue
        levels, scales = array.astype(np.float32), arrays[f"{base}.scales"]
        if levels.ndim == 3:  # a recurrent layer: (D, I, gates x H), scaled by gate
            parts[base] = (levels * scales[:, None, :]).transpose(0, 2, 1)
        else:
            parts[base] = levels * scales[:, None]
    return parts


def name_weights(manifest: Manifest, parts: dict[str, Matrix]) -> Iterator[tuple[str, Matrix]]:
    """Torch's names and arrays from the graphs' constants."""
    yield "embedding.weight", parts["embedding"]
    if manifest.task == "language":
        yield from name_language(manifest.cell, parts)
        return
    yield from name_forward_layers(manifest.cell, parts)
    yield from name_encoder(manifest.cell, parts)
    if manifest.task not in PAIRED:
        yield "output.weight", parts["output"]
        yield "output.bias", parts["output.bias"]
        return
    for layer in ("bottom", "top"):
        yield from name_layer(manifest.cell, parts, layer, 0, f"decoder.{layer}")
    for name in ("query", "key"):
        yield f"decoder.attention.{name}.weight", parts[name]
    yield "decoder.attention.sharpness", parts["attention.sharpness"].reshape(())
    for name in ("bridge", "readout"):
        yield f"decoder.{name}.weight", parts[name]
        yield f"decoder.{name}.bias", parts[f"{name}.bias"]
    yield "output_bias", revive(parts["output.bias"])


def name_language(cell: str, parts: dict[str, Matrix]) -> Iterator[tuple[str, Matrix]]:
    """The weights of a language model above its embedding."""
    num_layers = sum(name.startswith("layers.") and name.endswith(".input") for name in parts)
    for index in range(num_layers):
        yield from name_layer(cell, parts, f"layers.{index}", 0, f"layers.{index}")
    for name, ours in (("readout", "readout"), ("condition", "first_state"), ("feed", "feed")):
        if ours in parts:
            yield f"{name}.weight", parts[ours]
            yield f"{name}.bias", parts[f"{ours}.bias"]
    bias = revive(parts["output.bias"])
    if "readout" in parts:  # tied
        yield "output_bias", bias
    else:
        yield "output.weight", parts["output"]
        yield "output.bias", bias


def revive(bias: Matrix) -> Matrix:
    """Gives tokens that the export lets never be chosen the bias of the least likely one."""
    known = bias > NEVER
    return np.where(known, bias, bias[known].min())


def name_forward_layers(cell: str, parts: dict[str, Matrix]) -> Iterator[tuple[str, Matrix]]:
    """The layers of a network that reads forward alone."""
    num_layers = sum(name.startswith("layer.") and name.endswith(".input") for name in parts)
    for index in range(num_layers):
        yield from name_layer(cell, parts, f"layer.{index}", 0, f"layers.{index}")


def name_encoder(cell: str, parts: dict[str, Matrix]) -> Iterator[tuple[str, Matrix]]:
    """The layers of a network that reads in both directions."""
    num_layers = sum(name.startswith("encoder.") and name.endswith(".input") for name in parts)
    for index in range(num_layers):
        for place, way in enumerate(("forward", "backward")):
            prefix = f"encoder.layers.{index}.{way}_layer"
            yield from name_layer(cell, parts, f"encoder.{index}", place, prefix)
        if (norm := f"encoder.{index}.norm") in parts:
            yield f"encoder.norms.{index - 1}.weight", parts[norm]
            yield f"encoder.norms.{index - 1}.bias", parts[f"{norm}.bias"]


def name_layer(
    cell: str, parts: dict[str, Matrix], name: str, direction: int, prefix: str
) -> Iterator[tuple[str, Matrix]]:
    """One direction of a recurrent layer."""
    bias = parts[f"{name}.bias"][direction]
    from_input, from_hidden = np.split(bias, 2)
    for torch_name, stacked in (
        ("weight_ih_l0", parts[f"{name}.input"][direction]),
        ("weight_hh_l0", parts[f"{name}.recurrent"][direction]),
        ("bias_ih_l0", from_input),
        ("bias_hh_l0", from_hidden),
    ):
        yield f"{prefix}.{torch_name}", restore_gates(stacked, cell)
