"""Wraps an existing ONNX classifier as a version of the model repository."""

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import tokenizers

from export.graphs.builder import graph_file
from export.publish import (
    claim_folder,
    describe_files,
    open_scratch,
    publish_folder,
)
from service.arrays import Array
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession, Session
from service.errors import ArtefactError, InferenceFailed
from service.repository.manifest import (
    TOKENIZER,
    Graph,
    Limits,
    Manifest,
    Precision,
    Source,
    SpecialIds,
)
from service.repository.model import softmax
from service.text.tokenizer import Tokenizer

OutputKind = Literal["logits", "probabilities"]
PROBE_LENGTHS = (1, 17, 5)
PURPOSE = re.compile(r"([a-z][a-z0-9-]{0,31})?")
LANGUAGE = re.compile(r"[a-z]{2,3}")

# Largest change of a probability by other rows of the batch; int8 activations are rounded on a
# scale of the whole batch.
MAX_CHANGE, MAX_INT8_CHANGE = 1e-3, 0.05
INT8_OPS = {
    "DynamicQuantizeLinear",
    "DynamicQuantizeLSTM",
    "DynamicQuantizeMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "QLinearMatMul",
    "QuantizeLinear",
}


@dataclass(frozen=True)
class WrapOptions:
    """Properties of a model that its graph does not define.

    Attributes:
        graph: inputs ids (B, T) int64 and lengths (B) int64; output (B, C) logits or probabilities.
        tokenizer: Hugging Face `tokenizer.json`.
        labels: C names, in the order of the output's columns.
        languages: the input languages.
        input_ids, lengths, output: names in the graph; empty finds them by type and rank.
        output_kind: None finds it by running the graph.
        pad_id: None takes the tokenizer's.
        max_tokens: longest text accepted.
        purpose: what the labels tell, as "spam".
        answers_by_default: whether the model answers requests that name no model.
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
    purpose: str = ""
    answers_by_default: bool = True

    def __post_init__(self) -> None:
        if not 2 <= len(self.labels) == len(set(self.labels)):
            raise ArtefactError(
                f"labels are {', '.join(self.labels)}; two or more different ones are needed"
            )
        unknown = [code for code in self.languages if not LANGUAGE.fullmatch(code)]
        if unknown or not self.languages:
            raise ArtefactError(f"languages must be ISO 639 codes like en, got {unknown}")
        if not PURPOSE.fullmatch(self.purpose):
            raise ArtefactError(
                f"the purpose is {self.purpose!r}; use up to 32 of a-z 0-9 -, a letter first"
            )
        if self.max_tokens < 1 or (self.pad_id or 0) < 0:
            raise ArtefactError("max_tokens must be at least 1 and pad_id at least 0")


def wrap_classifier(
    options: WrapOptions, repository: Path, name: str, version: str | None = None
) -> Path:
    """Writes the version completely or not at all; the graph is run before it is accepted.

    Raises:
        ArtefactError: graph or tokenizer are unsuitable; the message says why.
        FileExistsError: the version is there already.
    """
    target = claim_folder(repository, name, version)
    proto = load_graph(options.graph)
    inputs, outputs = find_names(proto, options)
    precision = find_precision(proto)
    file = graph_file("classifier", precision)
    Tokenizer.load(options.tokenizer)  # rejects anything else, with the reason
    with open_scratch(repository, target) as folder:
        onnx.save(proto, str(folder / file))
        shutil.copyfile(options.tokenizer, folder / TOKENIZER)
        session = OnnxSession(folder / file, Device("cpu"), inputs=inputs, outputs=outputs)
        pad_id = find_pad_id(options)
        max_change = MAX_INT8_CHANGE if precision == "int8" else MAX_CHANGE
        scores = probe_graph(session, options, pad_id, max_change)
        graph = Graph(
            role="classifier", precision=precision, file=file, inputs=inputs, outputs=outputs
        )
        source = Source(
            name="provided by its owner",
            licence=options.licence,
            commercial_use=options.commercial_use,
        )
        manifest = Manifest(
            name=target.parent.name,
            version=target.name,
            task="classification",
            purpose=options.purpose,
            answers_by_default=options.answers_by_default,
            cell=find_cell(proto),
            languages=options.languages,
            labels=options.labels,
            output_kind=options.output_kind or find_kind(scores),
            ids=SpecialIds(pad_id=pad_id),
            limits=Limits(max_input_tokens=options.max_tokens),
            opset=find_opset(proto),
            graphs=(graph,),
            files=describe_files(folder),
            sources=(source,),
        )
        publish_folder(manifest, folder, target)
    return target


def load_graph(path: Path) -> onnx.ModelProto:
    """Reads and checks the graph with its external weights.

    Raises:
        ArtefactError: the file is not an ONNX graph, or its external weights are missing.
    """
    try:
        proto = onnx.load(str(path))
        onnx.checker.check_model(proto)
    except Exception as exc:  # onnx and protobuf raise many unrelated classes
        raise ArtefactError(f"{path} cannot be read as an ONNX graph: {exc}") from exc
    return proto


def find_names(
    proto: onnx.ModelProto, options: WrapOptions
) -> tuple[dict[str, str], dict[str, str]]:
    """Maps our names of inputs and outputs to those of the graph.

    Raises:
        ArtefactError: the graph has inputs other than ids and lengths, or no output of rank 2.
    """
    weights = {tensor.name for tensor in proto.graph.initializer}
    values = [value for value in proto.graph.input if value.name not in weights]
    found = {
        "input_ids": options.input_ids or find_value(values, rank=2, dtype=onnx.TensorProto.INT64),
        "lengths": options.lengths or find_value(values, rank=1, dtype=onnx.TensorProto.INT64),
    }
    if sorted(found.values()) != sorted(value.name for value in values):
        raise ArtefactError(
            "the graph must have exactly two inputs, ids (B, T) int64 and lengths (B) int64; "
            f"it has {describe_values(values)}"
        )
    outputs = proto.graph.output
    output = options.output or find_value(outputs, rank=2, dtype=onnx.TensorProto.FLOAT)
    if output not in {value.name for value in outputs}:
        raise ArtefactError(
            f"the graph has no float output {output or 'of rank 2 (B, labels)'}; "
            f"it has {describe_values(outputs)}"
        )
    return found, {"logits": output}


def find_value(values: Iterable[onnx.ValueInfoProto], *, rank: int, dtype: int) -> str:
    """Finds the first value of that rank and type; an empty string if there is none."""
    for value in values:
        tensor = value.type.tensor_type
        if tensor.elem_type == dtype and len(tensor.shape.dim) == rank:
            return str(value.name)
    return ""


def describe_values(values: Iterable[onnx.ValueInfoProto]) -> str:
    return ", ".join(describe_value(value) for value in values) or "none"


def describe_value(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    shape = ", ".join(dim.dim_param or str(dim.dim_value) for dim in tensor.shape.dim)
    return f"{value.name} ({shape}) {onnx.TensorProto.DataType.Name(tensor.elem_type).lower()}"


def find_cell(proto: onnx.ModelProto) -> Literal["lstm", "gru", "rnn", "unknown"]:
    """Finds the recurrent operator of the graph, inside its functions too."""
    kinds = op_types(proto)
    if "LSTM" in kinds or "DynamicQuantizeLSTM" in kinds:
        return "lstm"
    if "GRU" in kinds:
        return "gru"
    return "rnn" if "RNN" in kinds else "unknown"


def find_precision(proto: onnx.ModelProto) -> Precision:
    """Returns int8 if activations are rounded too, w8 if only weights are stored in 8 bits."""
    kinds = op_types(proto)
    if not INT8_OPS.isdisjoint(kinds):
        return "int8"
    return "w8" if "DequantizeLinear" in kinds else "fp32"


def op_types(proto: onnx.ModelProto) -> set[str]:
    nodes = [*proto.graph.node, *(node for each in proto.functions for node in each.node)]
    return {node.op_type for node in nodes}


def find_opset(proto: onnx.ModelProto) -> int:
    """Returns the version of the standard operators; 0 if the graph uses none."""
    versions = [int(each.version) for each in proto.opset_import if each.domain in ("", "ai.onnx")]
    return max(versions, default=0)


def find_pad_id(options: WrapOptions) -> int:
    """Returns the padding id of the options, else that of the tokenizer file, else 0."""
    if options.pad_id is not None:
        return options.pad_id
    padding = json.loads(options.tokenizer.read_text(encoding="utf-8")).get("padding") or {}
    return int(padding.get("pad_id", 0))


def probe_graph(session: Session, options: WrapOptions, pad_id: int, max_change: float) -> Array:
    """Runs texts of mixed lengths, covering all ids, together and alone.

    Returns:
        scores: (3, labels).

    Raises:
        ArtefactError: the graph fails on a batch, on an id of the tokenizer or on the longest text,
            the number of columns differs from the labels, or results depend on padding.
    """
    rng = np.random.default_rng(7)
    num_ids = count_ids(options.tokenizer)
    lengths = np.minimum(PROBE_LENGTHS, options.max_tokens)
    input_ids = rng.integers(0, num_ids, (len(lengths), int(lengths.max())))
    together = run_graph(session, input_ids, lengths, "a batch of texts")
    if together.shape != (len(lengths), len(options.labels)):
        raise ArtefactError(
            f"the graph returns an array of shape {together.shape} for {len(lengths)} texts, "
            f"expected ({len(lengths)}, {len(options.labels)}), one column per label"
        )
    check_padding(session, input_ids, lengths, together, max_change)
    highest = np.array([[num_ids - 1, pad_id]])
    problem = f"the ids 0 to {num_ids - 1} of the tokenizer and {pad_id} for padding"
    run_graph(session, highest, np.array([1]), problem)
    longest = rng.integers(0, num_ids, (1, options.max_tokens))
    problem = f"a text of {options.max_tokens} tokens, the requested limit"
    run_graph(session, longest, np.array([options.max_tokens]), problem)
    return together


def check_padding(
    session: Session, input_ids: Array, lengths: Array, together: Array, max_change: float
) -> None:
    """Checks that each text alone gets the same result as among longer texts.

    Raises:
        ArtefactError: the results differ.
    """
    kind = find_kind(together)
    expected = as_probabilities(together, kind)
    for row, length in enumerate(lengths):
        alone = run_graph(
            session, input_ids[row : row + 1, :length], lengths[row : row + 1], "a single text"
        )
        change = float(np.abs(as_probabilities(alone, kind)[0] - expected[row]).max())
        if change > max_change:
            raise ArtefactError(
                f"the result for a text of {length} tokens changes by {change:.3f} when it "
                "is padded: the graph ignores lengths and cannot be served in batches"
            )


def run_graph(session: Session, input_ids: Array, lengths: Array, what: str) -> Array:
    """Computes the scores (B, C) of a batch.

    Raises:
        ArtefactError: the graph fails on the batch, or returns values that are not finite.
    """
    try:
        scores = session.run(
            {"input_ids": input_ids.astype(np.int64), "lengths": lengths.astype(np.int64)}
        )["logits"]
    except InferenceFailed as exc:
        raise ArtefactError(f"the graph fails on {what}: {exc}") from exc
    if not np.isfinite(scores).all():
        raise ArtefactError(f"the graph returns infinite values, or NaN, for {what}")
    return scores


def count_ids(path: Path) -> int:
    """Returns one above the highest id of a tokenizer; some vocabularies have gaps."""
    vocabulary = tokenizers.Tokenizer.from_file(str(path)).get_vocab(with_added_tokens=True)
    highest: int = max(vocabulary.values())
    return highest + 1


def find_kind(scores: Array) -> OutputKind:
    """Tells logits from probabilities, by whether rows (B, C) sum to one."""
    sums_to_one = np.allclose(scores.sum(axis=-1), 1.0, atol=1e-3) and bool((scores >= 0).all())
    return "probabilities" if sums_to_one else "logits"


def as_probabilities(scores: Array, kind: OutputKind) -> Array:
    return scores if kind == "probabilities" else softmax(scores)
