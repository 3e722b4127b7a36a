"""Bring your own: makes somebody else's ONNX classifier a version of the model repository."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx

from export.publish import add_goldens, claim_folder, next_version
from service.engine import Device, OnnxSession
from service.errors import ArtefactError
from service.manifest import (
    MANIFEST,
    TOKENIZER,
    Graph,
    Limits,
    Manifest,
    Source,
    SpecialIds,
    describe_file,
    write_manifest,
)
from service.tokenizer import Tokenizer

OutputKind = Literal["logits", "probabilities"]
GRAPH_FILE = "classifier.fp32.onnx"


@dataclass(frozen=True)
class WrapOptions:
    """What the graph does not say itself.

    Attributes:
        graph: inputs ids (B, T) int64 and lengths (B) int64; output (B, C) logits or probabilities.
        tokenizer: Hugging Face `tokenizer.json`.
        labels: C names, in the order of the output's columns.
        languages: what the model reads.
        input_ids, lengths, output: names in the graph; empty finds them by type and rank.
        output_kind: None finds it by running the graph.
        pad_id: None takes the tokenizer's.
        max_tokens: longest text accepted.
    """

    graph: Path
    tokenizer: Path
    labels: tuple[str, ...]
    languages: tuple[str, ...]
    input_ids: str = ""
    lengths: str = ""
    output: str = ""
    output_kind: OutputKind | None = None
    pad_id: int | None = None
    max_tokens: int = 512
    licence: str = "unstated"
    commercial_use: bool = False


def wrap_classifier(
    options: WrapOptions, repository: Path, name: str, version: str | None = None
) -> Path:
    """Writes the version, or nothing at all; the graph is run before it is accepted.

    Raises:
        ArtefactError: the graph or the tokenizer does not fit, with the reason.
        FileExistsError: the version is there already.
    """
    proto = load_graph(options.graph)
    inputs, outputs = find_names(proto, options)
    version = version or next_version(repository / name)
    target = claim_folder(repository, name, version)
    with tempfile.TemporaryDirectory(dir=repository) as scratch:
        folder = Path(scratch) / name / version
        folder.mkdir(parents=True)
        onnx.save(proto, str(folder / GRAPH_FILE))
        shutil.copyfile(options.tokenizer, folder / TOKENIZER)
        tokenizer = Tokenizer.load(folder / TOKENIZER)
        session = OnnxSession(folder / GRAPH_FILE, Device("cpu"), inputs=inputs, outputs=outputs)
        kind = probe_graph(session, tokenizer.vocab_size, options)
        manifest = Manifest(
            name=name,
            version=version,
            task="sentiment",
            cell=find_cell(proto),
            languages=options.languages,
            labels=options.labels,
            output_kind=kind,
            ids=SpecialIds(pad_id=find_pad_id(options)),
            limits=Limits(max_input_tokens=options.max_tokens),
            opset=max(entry.version for entry in proto.opset_import),
            graphs=(
                Graph(
                    role="classifier",
                    precision="fp32",
                    file=GRAPH_FILE,
                    inputs=inputs,
                    outputs=outputs,
                ),
            ),
            files=tuple(
                describe_file(file) for file in sorted(folder.iterdir()) if file.name != MANIFEST
            ),
            sources=(
                Source(
                    name="brought by its owner",
                    licence=options.licence,
                    commercial_use=options.commercial_use,
                ),
            ),
        )
        write_manifest(manifest, folder)
        write_manifest(add_goldens(folder), folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder, target)
    return target


def load_graph(path: Path) -> onnx.ModelProto:
    """The graph with its external weights, checked.

    Raises:
        ArtefactError: it is no ONNX graph, or its external weights are missing.
    """
    try:
        proto = onnx.load(str(path))
        onnx.checker.check_model(proto)
    except Exception as exc:  # onnx and protobuf raise many unrelated kinds
        raise ArtefactError(f"{path} cannot be read as an ONNX graph: {exc}") from exc
    return proto


def find_names(
    proto: onnx.ModelProto, options: WrapOptions
) -> tuple[dict[str, str], dict[str, str]]:
    """Names of inputs and outputs in the graph by ours.

    Raises:
        ArtefactError: the graph has other inputs than ids and lengths, or no output of rank 2.
    """
    weights = {tensor.name for tensor in proto.graph.initializer}
    values = [value for value in proto.graph.input if value.name not in weights]
    found = {
        "input_ids": options.input_ids or find_value(values, rank=2, dtype=onnx.TensorProto.INT64),
        "lengths": options.lengths or find_value(values, rank=1, dtype=onnx.TensorProto.INT64),
    }
    strangers = {value.name for value in values} - set(found.values())
    if strangers or "" in found.values():
        raise ArtefactError(
            "the graph must have exactly two inputs, ids (B, T) int64 and lengths (B) "
            "int64; it has " + ", ".join(describe_value(value) for value in values)
        )
    output = options.output or find_value(proto.graph.output, rank=2, dtype=onnx.TensorProto.FLOAT)
    if not output:
        raise ArtefactError("the graph has no float output of rank 2 (B, labels)")
    return found, {"logits": output}


def find_value(values: object, *, rank: int, dtype: int) -> str:
    """Name of the first value of that rank and type, or an empty string."""
    for value in values:  # type: ignore[attr-defined]
        tensor = value.type.tensor_type
        if tensor.elem_type == dtype and len(tensor.shape.dim) == rank:
            return str(value.name)
    return ""


def describe_value(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    shape = ", ".join(dim.dim_param or str(dim.dim_value) for dim in tensor.shape.dim)
    return f"{value.name} ({shape}) {onnx.TensorProto.DataType.Name(tensor.elem_type).lower()}"


def find_cell(proto: onnx.ModelProto) -> Literal["lstm", "gru", "rnn", "unknown"]:
    kinds = {node.op_type for node in proto.graph.node}
    return (
        "lstm"
        if "LSTM" in kinds
        else "gru"
        if "GRU" in kinds
        else "rnn"
        if "RNN" in kinds
        else "unknown"
    )


def find_pad_id(options: WrapOptions) -> int:
    """The padding id asked for, else the tokenizer file's own, else 0."""
    if options.pad_id is not None:
        return options.pad_id
    padding = json.loads(options.tokenizer.read_text(encoding="utf-8")).get("padding") or {}
    return int(padding.get("pad_id", 0))


def probe_graph(session: OnnxSession, vocab_size: int, options: WrapOptions) -> OutputKind:
    """Runs a batch of mixed lengths; tells logits from probabilities.

    Raises:
        ArtefactError: another number of columns than labels, or an answer that depends on padding.
    """
    rng = np.random.default_rng(7)
    lengths = np.array([1, min(17, options.max_tokens), min(5, options.max_tokens)])
    input_ids = rng.integers(0, vocab_size, (3, int(lengths.max())))
    together = session.run({"input_ids": input_ids, "lengths": lengths})["logits"]
    if together.shape != (3, len(options.labels)):
        raise ArtefactError(
            f"the graph gives {together.shape} for 3 texts, expected (3, "
            f"{len(options.labels)} labels)"
        )
    alone = session.run({"input_ids": input_ids[2:, : lengths[2]], "lengths": lengths[2:]})[
        "logits"
    ]
    if not np.allclose(together[2:], alone, atol=1e-3):
        raise ArtefactError(
            "the graph's answer to a text changes when it is padded: it ignores lengths and "
            "cannot be served in batches"
        )
    if options.output_kind:
        return options.output_kind
    sums_to_one = np.allclose(together.sum(axis=-1), 1.0, atol=1e-3) and bool((together >= 0).all())
    return "probabilities" if sums_to_one else "logits"
