"""Makes a version with more precisions out of one that has w8: the shipped ones, for a GPU.

Neither the training run nor torch's weights are needed: fp32 has the weights that w8 has, int8
levels times their scales, as constants; fp16 is that rounded, with the slots of translators.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from export.graphs.builder import graph_file, save_graphs
from export.graphs.half import to_half
from export.graphs.host_lengths import split_lengths
from export.graphs.layers import Weights
from export.graphs.networks import NEVER
from export.graphs.placement import find_constants
from export.graphs.states import add_states
from export.publish import build_slot_graphs, describe_files, open_scratch
from models.networks.gates import Matrix, restore_gates
from service.engine.runtime.device import Device
from service.errors import ArtefactError
from service.repository.goldens import check_goldens
from service.repository.loader import load_model
from service.repository.manifest import (
    SLOT_ROLES,
    Graph,
    Manifest,
    Precision,
    Role,
    read_manifest,
    write_manifest,
)


def add_precisions(source: Path, repository: Path, precisions: Sequence[Precision]) -> Path:
    """Copies a version to another repository, with fp32 or fp16 graphs besides its own.

    Args:
        source: folder of the version, which stays as it is.
        repository: another one than the version's.
        precisions: of fp32 and fp16.

    Raises:
        ArtefactError: the version has no w8 graphs, or the goldens fail in a new precision.
        FileExistsError: the version is there already.
    """
    manifest = read_manifest(source)
    if "w8" not in manifest.precisions:
        raise ArtefactError(f"{source} has no w8 graphs to make others from")
    new = [precision for precision in precisions if precision not in manifest.precisions]
    target = repository / manifest.name / manifest.version
    if target.exists():
        raise FileExistsError(f"{target} exists; remove it or choose another repository")
    with open_scratch(repository, target) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        graphs = {
            graph.file: onnx.load(folder / graph.file)
            for graph in manifest.graphs
            if graph.role != "states"  # made again below
        }
        of_role = {
            graph.role: graphs[graph.file]
            for graph in manifest.graphs
            if graph.precision == "w8" and graph.role in manifest.roles
        }
        built = {precision: build_precision(of_role, manifest, precision) for precision in new}
        for precision, models in built.items():
            graphs |= {graph_file(role, precision): model for role, model in models.items()}
        save_graphs(graphs, folder)
        added = tuple(
            Graph(role=role, precision=precision, file=graph_file(role, precision))
            for precision, models in built.items()
            for role in models
        )
        publish_beside(manifest, added, folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
    return target


def build_precision(
    of_role: Mapping[Role, onnx.ModelProto], manifest: Manifest, precision: Precision
) -> dict[Role, onnx.ModelProto]:
    """The graphs of a version in fp32 or fp16, out of those in w8 by role."""
    graphs = {role: fold_constants(model) for role, model in of_role.items()}
    if precision == "fp32":
        return graphs
    halved = {role: to_half(split_lengths(model)) for role, model in graphs.items()}
    if manifest.task != "translation":
        return halved
    eos_id = manifest.ids.eos_id
    assert eos_id is not None, "the manifest of a translation model has an eos_id"
    weights = read_decoder(of_role["decoder"], manifest.cell)
    forbidden_ids = np.flatnonzero(weights["output_bias"] <= NEVER / 2).tolist()
    slots = build_slot_graphs(weights, manifest.cell, forbidden_ids, eos_id)
    assert set(slots) == set(SLOT_ROLES)
    return {**halved, **slots}


def publish_beside(manifest: Manifest, added: tuple[Graph, ...], folder: Path) -> None:
    """Writes the manifest of a version with more graphs, and has every precision checked.

    Raises:
        ArtefactError: the goldens fail.
    """
    own = tuple(graph for graph in manifest.graphs if graph.role != "states")
    for graph in manifest.graphs:
        if graph.role == "states":
            (folder / graph.file).unlink(missing_ok=True)
    had_states = bool(manifest.states)
    # Checked as a whole once the graphs of the states are there again.
    manifest = manifest.model_copy(update={"graphs": (*own, *added)})
    files = {entry.name: entry for entry in describe_files(folder)}
    manifest = manifest.model_copy(update={"files": tuple(files.values())})
    if had_states:
        manifest = add_states(manifest, folder)
    write_manifest(manifest, folder)
    for precision in read_manifest(folder).precisions:
        check_goldens(load_model(folder, Device("cpu"), precision=precision))


def fold_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Computes what depends on weights alone, once and for all."""
    constants = find_constants(model)
    steady = [node for node in model.graph.node if set(node.output) <= constants]
    others = [node for node in model.graph.node if not set(node.output) <= constants]
    read = {name for node in others for name in node.input}
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    made = sorted(
        {name for node in steady for name in node.output} & read
    )  # the reference evaluator gives them in this order
    folded = onnx.ModelProto()
    folded.CopyFrom(model)
    del folded.graph.node[:]
    folded.graph.node.extend(others)
    del folded.graph.initializer[:]
    folded.graph.initializer.extend(known[name] for name in known if name in read)
    if made:
        outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in made]
        graph = helper.make_graph(steady, "constants", [], outputs, list(known.values()))
        constant = helper.make_model(
            graph, opset_imports=model.opset_import, ir_version=model.ir_version
        )
        arrays = ReferenceEvaluator(constant).run(None, {})
        folded.graph.initializer.extend(
            numpy_helper.from_array(np.ascontiguousarray(array), name)
            for name, array in zip(made, arrays, strict=True)
        )
    onnx.checker.check_model(folded)
    return folded


def read_decoder(model: onnx.ModelProto, cell: str) -> Weights:
    """The weights of `build_slot_decoder`, by torch's names, from a decoder in w8."""
    arrays = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}

    def rows(name: str) -> Matrix:
        """(N, K), a scale per row."""
        levels: Matrix = arrays[f"{name}.levels"].astype(np.float32)
        scales: Matrix = arrays[f"{name}.scales"]
        return levels * scales[:, None]

    def gates(name: str) -> Matrix:
        """(gates x H, I or H) in torch's order."""
        levels: Matrix = arrays[f"{name}.levels"][0].astype(np.float32)  # (I, gates x H)
        scales: Matrix = arrays[f"{name}.scales"][0]
        return restore_gates((levels * scales).T, cell)

    weights = {
        "embedding.weight": rows("embedding"),
        "output_bias": arrays["output.bias"],
        "decoder.attention.query.weight": rows("query"),
        "decoder.attention.sharpness": arrays["attention.sharpness"],
        "decoder.readout.weight": rows("readout"),
        "decoder.readout.bias": arrays["readout.bias"],
    }
    for layer in ("bottom", "top"):
        biases = np.split(arrays[f"{layer}.bias"][0], 2)
        for key, array in zip(
            ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"),
            (
                gates(f"{layer}.input"),
                gates(f"{layer}.recurrent"),
                *(restore_gates(bias, cell) for bias in biases),
            ),
            strict=True,
        ):
            weights[f"decoder.{layer}.{key}"] = array
    return weights
