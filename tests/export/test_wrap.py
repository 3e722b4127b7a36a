"""Wrapping existing models: graphs and tokenizers built here without code of the project."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest
import tokenizers
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from prometheus_client import CollectorRegistry
from tokenizers import models, pre_tokenizers, processors

from export.wrap import WrapOptions, find_pad_id, wrap_classifier
from models.card import BROUGHT, CARD
from service.engine.runtime.device import Device
from service.errors import ArtefactError
from service.http.app import create_app
from service.repository.loader import load_model
from service.repository.manifest import MANIFEST, Precision, check_files, read_manifest
from service.settings import Settings

WORDS: tuple[str, ...] = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "a",
    "delight",
    "from",
    "start",
    "to",
    "finish",
    "two",
)
WORDS += ("hours", "i", "will", "never", "get", "back", "good", "bad", ".", ",")
LABELS = ("world", "sports", "business")
EMBEDDING, HIDDEN = 12, 6


@dataclass(frozen=True)
class Design:
    """Design of the graph to wrap, and its faults."""

    vocab_size: int = len(WORDS)
    num_labels: int = len(LABELS)
    use_softmax: bool = False
    use_lengths: bool = True
    use_int8: bool = False
    use_w8: bool = False
    batch: str | int = "batch"
    steps: str | int = "steps"
    ids_type: int = TensorProto.INT64
    lengths_shape: tuple[str | int, ...] = ("batch",)
    extra_input: bool = False
    squeeze: bool = False
    positions: int = 0


def build_graph(design: Design = Design()) -> onnx.ModelProto:
    """Builds a graph with unusual names: embedding, GRU with lengths, linear layer."""
    rng = np.random.default_rng(9)
    arrays: dict[str, Any] = {
        "embedding": rng.normal(size=(design.vocab_size, EMBEDDING)),
        "w": rng.normal(size=(1, 3 * HIDDEN, EMBEDDING)),
        "r": rng.normal(size=(1, 3 * HIDDEN, HIDDEN)),
        "b": rng.normal(size=(1, 6 * HIDDEN)),
        "head": rng.normal(size=(HIDDEN, design.num_labels)),
        "places": rng.normal(size=(max(1, design.positions), EMBEDDING)),
    }
    weights = [numpy_helper.from_array(array.astype(np.float32), n) for n, array in arrays.items()]
    weights.append(numpy_helper.from_array(np.array([0], np.int64), "zero"))
    if design.use_w8:
        levels = np.round(arrays["head"] / 0.02).clip(-127, 127).astype(np.int8)
        weights.append(numpy_helper.from_array(levels, "head8"))
        weights.append(numpy_helper.from_array(np.array(0.02, np.float32), "head8_scale"))
    weights.append(numpy_helper.from_array(np.array(0, np.int64), "nought"))
    weights.append(numpy_helper.from_array(np.array(1, np.int64), "one"))
    node = helper.make_node
    nodes = [
        node("Gather", ["embedding", "tokens"], ["vectors"]),
        *position_nodes(design),
        node("Transpose", ["placed"], ["by_step"], perm=[1, 0, 2]),
        node("Cast", ["sizes"], ["sizes32"], to=TensorProto.INT32),
        node(
            "GRU",
            ["by_step", "w", "r", "b", "sizes32" if design.use_lengths else ""],
            ["", "last"],
            hidden_size=HIDDEN,
        ),
        node("Squeeze", ["last", "zero"], ["state"]),
        *head_nodes(design),
    ]
    if not design.use_lengths:
        nodes.append(node("Identity", ["sizes"], ["unused"]))
    inputs = [
        helper.make_tensor_value_info("sizes", TensorProto.INT64, design.lengths_shape),
        helper.make_tensor_value_info("tokens", design.ids_type, [design.batch, design.steps]),
    ]
    if design.extra_input:
        inputs.append(helper.make_tensor_value_info("types", TensorProto.INT64, ["batch", "steps"]))
    shape: list[str | int] = ["batch"] if design.squeeze else ["batch", design.num_labels]
    outputs = [helper.make_tensor_value_info("answer", TensorProto.FLOAT, shape)]
    graph = helper.make_graph(nodes, "wrapped", inputs, outputs, weights)
    opsets = [helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def position_nodes(design: Design) -> list[onnx.NodeProto]:
    """Adds a learnt embedding per position, for a limited number of positions."""
    if not design.positions:
        return [helper.make_node("Identity", ["vectors"], ["placed"])]
    return [
        helper.make_node("Shape", ["tokens"], ["length"], start=1, end=2),
        helper.make_node("Squeeze", ["length", "zero"], ["scalar"]),
        helper.make_node("Range", ["nought", "scalar", "one"], ["steps_range"]),
        helper.make_node("Gather", ["places", "steps_range"], ["place_vectors"]),
        helper.make_node("Add", ["vectors", "place_vectors"], ["placed"]),
    ]


def head_nodes(design: Design) -> list[onnx.NodeProto]:
    node = helper.make_node
    product = [node("MatMul", ["state", "head"], ["product"])]
    if design.use_int8:  # activations rounded on a scale of the whole batch
        product = [
            node("DynamicQuantizeLinear", ["state"], ["levels", "scale", "offset"]),
            node("DequantizeLinear", ["levels", "scale", "offset"], ["rough"]),
            node("MatMul", ["rough", "head"], ["product"]),
        ]
    if design.use_w8:
        product = [
            node("DequantizeLinear", ["head8", "head8_scale"], ["head_again"]),
            node("MatMul", ["state", "head_again"], ["product"]),
        ]
    if design.squeeze:
        return [*product, node("ReduceMax", ["product"], ["answer"], axes=[1], keepdims=0)]
    last = node("Softmax" if design.use_softmax else "Identity", ["product"], ["answer"])
    return [*product, last]


def build_tokenizer(words: tuple[str, ...] = WORDS) -> tokenizers.Tokenizer:
    """Builds a tokenizer as in a Hugging Face checkpoint: special tokens, padding, truncation."""
    vocabulary = {word: index for index, word in enumerate(words)}
    backend = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    backend.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    backend.enable_padding(length=32, pad_id=0, pad_token="[PAD]")
    backend.enable_truncation(4)
    return backend


Maker = Callable[..., WrapOptions]


@pytest.fixture
def options(tmp_path: Path) -> Maker:
    """Writes a graph and a tokenizer, and builds options from them."""

    def make(design: Design = Design(), words: tuple[str, ...] = WORDS, **more: Any) -> WrapOptions:
        graph, tokenizer = tmp_path / "theirs.onnx", tmp_path / "tokenizer.json"
        onnx.save(build_graph(design), str(graph))
        build_tokenizer(words).save(str(tokenizer))
        fields: dict[str, Any] = {
            "labels": LABELS[: design.num_labels],
            "languages": ("en",),
            "max_tokens": 64,
        }
        return WrapOptions(graph=graph, tokenizer=tokenizer, **(fields | more))

    return make


async def classify(models_dir: Path, texts: list[str], **parameters: Any) -> list[Any]:
    """Classifies through the real application, without a socket."""
    app = create_app(
        Settings(models_dir=models_dir, device="cpu"), collector_registry=CollectorRegistry()
    )
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        body = {"inputs": texts, "parameters": parameters}
        response = await client.post("/classify", json=body)
        assert response.status_code == 200, response.text
        assert response.headers["x-model-name"] == "wrapped"
        answers: list[Any] = response.json()
        return answers


def run_theirs(design: Design, texts: list[str]) -> np.ndarray:
    """Runs the graph directly, one text at a time, without code of the project."""
    evaluator = ReferenceEvaluator(build_graph(design))
    backend = build_tokenizer()
    backend.no_padding()
    backend.no_truncation()
    rows = [backend.encode(text).ids for text in texts]
    answers: list[np.ndarray] = []
    for row in rows:
        feeds = {"tokens": np.array([row]), "sizes": np.array([len(row)])}
        (scores,) = evaluator.run(None, feeds)
        answers.append(np.asarray(scores)[0])
    return np.stack(answers)


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


TEXTS = ["a delight from start to finish.", "good", "two hours i will never get back, bad, bad."]


@pytest.mark.parametrize(
    ("design", "kind"),
    [(Design(), "logits"), (Design(use_softmax=True), "probabilities")],
    ids=["logits", "probabilities"],
)
async def test_wrapped_model_answers_like_the_original(
    design: Design, kind: str, options: Maker, tmp_path: Path
) -> None:
    folder = wrap_classifier(options(design), tmp_path / "repository", "wrapped")
    assert read_manifest(folder).output_kind == kind
    expected = run_theirs(design, TEXTS)
    expected = expected if kind == "probabilities" else softmax(expected)
    answers = await classify(tmp_path / "repository", TEXTS)
    for scores, row in zip(answers, expected, strict=True):
        found = {score["label"]: score["score"] for score in scores}
        assert [found[label] for label in LABELS] == pytest.approx(row.tolist(), abs=1e-4)


async def test_parameters_work_with_a_wrapped_model(options: Maker, tmp_path: Path) -> None:
    wrap_classifier(options(), tmp_path / "repository", "wrapped")
    answers = await classify(
        tmp_path / "repository", TEXTS, top_k=1, function_to_apply="none", model="wrapped"
    )
    best = run_theirs(Design(), TEXTS).max(axis=-1)
    assert [scores[0]["score"] for scores in answers] == pytest.approx(best.tolist(), abs=1e-4)


def test_wrapped_version_is_complete(options: Maker, tmp_path: Path) -> None:
    wrapped = options(licence="MIT", commercial_use=True)
    folder = wrap_classifier(wrapped, tmp_path / "repository", "wrapped")
    manifest = read_manifest(folder)
    check_files(manifest, folder)
    assert (manifest.cell, manifest.opset, manifest.ids.pad_id) == ("gru", 17, 0)
    assert manifest.graphs[0].inputs == {"input_ids": "tokens", "lengths": "sizes"}
    assert len(manifest.goldens) == 2
    card = (folder / CARD).read_text(encoding="utf-8")
    assert BROUGHT in card
    assert "| provided by its owner | MIT | yes | 1 |" in card


def test_wrapping_again_creates_the_next_version(options: Maker, tmp_path: Path) -> None:
    folders = [wrap_classifier(options(), tmp_path / "r", "wrapped") for _ in range(2)]
    assert [folder.name for folder in folders] == ["1", "2"]


def test_external_weights_are_included(options: Maker, tmp_path: Path) -> None:
    wrapped = options()
    place = tmp_path / "elsewhere"
    place.mkdir()
    onnx.save(
        build_graph(),
        str(place / "theirs.onnx"),
        save_as_external_data=True,
        location="theirs.data",
        size_threshold=0,
    )
    wrapped = replace(wrapped, graph=place / "theirs.onnx")
    folder = wrap_classifier(wrapped, tmp_path / "repository", "wrapped")
    names = {entry.name for entry in read_manifest(folder).files}
    assert names == {"classifier.fp32.onnx", "tokenizer.json"}


def test_missing_external_weights_are_rejected(options: Maker, tmp_path: Path) -> None:
    wrapped = options()
    graph = tmp_path / "bare.onnx"
    onnx.save(
        build_graph(), str(graph), save_as_external_data=True, location="gone", size_threshold=0
    )
    (tmp_path / "gone").unlink()
    with pytest.raises(ArtefactError, match=r"bare\.onnx cannot be read as an ONNX graph"):
        wrap_classifier(replace(wrapped, graph=graph), tmp_path / "repository", "wrapped")


def test_rounded_activations_may_change_other_rows_slightly(options: Maker, tmp_path: Path) -> None:
    wrapped = options(Design(use_int8=True))
    assert wrap_classifier(wrapped, tmp_path / "repository", "wrapped").name == "1"


@pytest.mark.parametrize(
    ("design", "precision"),
    [(Design(), "fp32"), (Design(use_int8=True), "int8"), (Design(use_w8=True), "w8")],
)
def test_precision_is_that_of_the_graph(
    design: Design, precision: Precision, options: Maker, tmp_path: Path
) -> None:
    folder = wrap_classifier(options(design), tmp_path / "repository", "wrapped")
    assert read_manifest(folder).precisions == (precision,)
    assert (folder / f"classifier.{precision}.onnx").exists()
    assert load_model(folder, Device("cpu")).precision == precision


def test_names_and_output_kind_can_be_given(options: Maker, tmp_path: Path) -> None:
    wrapped = options(
        Design(use_softmax=True),
        input_ids="tokens",
        lengths="sizes",
        output="answer",
        output_kind="logits",
        pad_id=1,
    )
    manifest = read_manifest(wrap_classifier(wrapped, tmp_path / "repository", "wrapped"))
    assert (manifest.output_kind, manifest.ids.pad_id) == ("logits", 1)


def test_without_a_padding_section_the_padding_is_zero(options: Maker) -> None:
    wrapped = options()
    fields = json.loads(wrapped.tokenizer.read_text(encoding="utf-8"))
    fields["padding"]["pad_id"] = 5
    wrapped.tokenizer.write_text(json.dumps(fields), encoding="utf-8")
    assert find_pad_id(wrapped) == 5
    fields["padding"] = None
    wrapped.tokenizer.write_text(json.dumps(fields), encoding="utf-8")
    assert find_pad_id(wrapped) == 0


@pytest.mark.parametrize(
    ("design", "more", "reason"),
    [
        (Design(num_labels=3), {"labels": ("bad", "good")}, r"shape \(3, 3\) .* expected \(3, 2\)"),
        (Design(num_labels=2), {"labels": LABELS}, r"shape \(3, 2\) .* expected \(3, 3\)"),
        (Design(use_lengths=False), {}, "ignores lengths"),
        (Design(extra_input=True), {}, r"exactly two inputs.*types \(batch, steps\) int64"),
        (Design(ids_type=TensorProto.INT32), {}, r"exactly two inputs.*\(batch, steps\) int32"),
        (Design(lengths_shape=("batch", 1)), {}, r"exactly two inputs.*sizes \(batch, 1\)"),
        (Design(squeeze=True), {}, r"no float output of rank 2.*answer \(batch\)"),
        (Design(vocab_size=10), {}, "the graph fails on"),
        (Design(vocab_size=len(WORDS) - 1), {}, "the graph fails on"),
        (Design(), {"pad_id": 999}, r"fails on the ids 0 to \d+ of the tokenizer and 999 for pad"),
        (Design(batch=1), {}, "the graph fails on a batch of texts"),
        (Design(steps=17), {}, "the graph fails on a single text"),
        (Design(positions=40), {}, "the graph fails on a text of 64 tokens"),
        (Design(), {"input_ids": "ids"}, "exactly two inputs"),
        (Design(), {"input_ids": "sizes", "lengths": "tokens"}, "the graph fails on a batch"),
        (Design(), {"output": "logits"}, r"no float output logits; it has answer"),
        (Design(), {"max_tokens": 3}, "no golden text has 1 to 3 tokens"),
    ],
)
def test_model_that_cannot_be_served_is_rejected(
    design: Design, more: dict[str, Any], reason: str, options: Maker, tmp_path: Path
) -> None:
    repository = tmp_path / "repository"
    with pytest.raises(ArtefactError, match=reason):
        wrap_classifier(options(design, **more), repository, "wrapped")
    assert not list(repository.rglob(MANIFEST))
    assert not list(repository.iterdir() if repository.exists() else [])


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"labels": ("same", "same")}, "two or more different ones"),
        ({"labels": ("only",)}, "two or more different ones"),
        ({"languages": ("English",)}, "ISO 639 codes"),
        ({"languages": ()}, "ISO 639 codes"),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
        ({"pad_id": -1}, "pad_id at least 0"),
    ],
)
def test_invalid_options_are_rejected(more: dict[str, Any], reason: str, options: Maker) -> None:
    with pytest.raises(ArtefactError, match=reason):
        options(**more)


def test_ids_above_the_embedding_are_found_in_a_vocabulary_with_gaps(
    options: Maker, tmp_path: Path
) -> None:
    wrapped = options()
    fields = json.loads(wrapped.tokenizer.read_text(encoding="utf-8"))
    fields["model"]["vocab"]["bad"] = 5000  # the number of words still equals that of the embedding
    wrapped.tokenizer.write_text(json.dumps(fields), encoding="utf-8")
    with pytest.raises(ArtefactError, match="the graph fails on"):
        wrap_classifier(wrapped, tmp_path / "repository", "wrapped")


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x07", b"{}"])
def test_file_that_is_not_a_graph_is_rejected(
    content: bytes, options: Maker, tmp_path: Path
) -> None:
    wrapped = options()
    wrapped.graph.write_bytes(content)
    with pytest.raises(ArtefactError, match="cannot be read as an ONNX graph"):
        wrap_classifier(wrapped, tmp_path / "repository", "wrapped")


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"model": {"type": "Psychic"}}', "\x00"])
def test_file_that_is_not_a_tokenizer_is_rejected(
    content: str, options: Maker, tmp_path: Path
) -> None:
    wrapped = options()
    wrapped.tokenizer.write_text(content, encoding="utf-8")
    with pytest.raises(ArtefactError, match="cannot be read as a tokenizer"):
        wrap_classifier(wrapped, tmp_path / "repository", "wrapped")


@pytest.mark.parametrize(("field", "word"), [("graph", "graph"), ("tokenizer", "tokenizer")])
def test_missing_file_is_named(field: str, word: str, options: Maker, tmp_path: Path) -> None:
    absent: dict[str, Any] = {field: tmp_path / "absent"}
    wrapped = replace(options(), **absent)
    with pytest.raises(ArtefactError, match=rf"absent cannot be read as an? .*{word}"):
        wrap_classifier(wrapped, tmp_path / "repository", "wrapped")


def test_unknown_operator_is_rejected(options: Maker, tmp_path: Path) -> None:
    wrapped = options()
    model = build_graph()
    model.graph.node[-1].op_type, model.graph.node[-1].domain = "Magic", "org.example"
    model.opset_import.append(helper.make_opsetid("org.example", 1))
    onnx.save(model, str(wrapped.graph))
    with pytest.raises(ArtefactError, match="cannot be loaded"):
        wrap_classifier(wrapped, tmp_path / "repository", "wrapped")
