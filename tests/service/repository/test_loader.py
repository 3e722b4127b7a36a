from pathlib import Path

import numpy as np
import pytest

from service.arrays import FloatArray
from service.engine.batch import SearchOptions, TokenSequence
from service.engine.runner import run_sequences
from service.engine.runtime.device import Device
from service.engine.runtime.session import OnnxSession
from service.errors import ArtefactError, DeviceUnavailable
from service.repository.loader import choose_precision, load_model, open_for_capture
from service.repository.manifest import Graph, Manifest, Precision
from service.repository.model import LoadedModel, make_sequences
from tests.fakes import make_manifest, make_sequence
from tests.reviews import REVIEWS
from tests.service.repository.copies import edit_manifest

CPU, CUDA = Device("cpu"), Device("cuda")
PRECISIONS: list[Precision] = ["fp32", "w8", "int8"]

# Largest difference of a probability. int8 scales the activations of a whole batch together, so
# its answers do depend on the batch, within rounding.
BATCH_TOLERANCES: dict[Precision, float] = {"fp32": 1e-5, "w8": 1e-5, "int8": 0.03}

SENTENCES = ["A man is riding a bicycle.", "Hello.", "Where is the station?", "snow", "I see it"]


def probabilities_of(model: LoadedModel, sequences: list[TokenSequence]) -> FloatArray:
    """(B, C)."""
    results = run_sequences(model.runner, sequences)
    return np.stack([model.probabilities(np.asarray(result)) for result in results])


# --- the three truths ---


@pytest.mark.parametrize("precision", PRECISIONS)
def test_batched_classification_equals_single(sentiment: Path, precision: Precision) -> None:
    model = load_model(sentiment, CPU, precision=precision)

    together = probabilities_of(model, make_sequences(model, REVIEWS))
    alone = np.concatenate([probabilities_of(model, make_sequences(model, [t])) for t in REVIEWS])

    assert np.abs(together - alone).max() <= BATCH_TOLERANCES[precision]
    assert np.ptp(alone[:, 0]) > 0.2, "the texts must differ for this to mean anything"


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("num_tokens", [6, 15, 60])
def test_pad_length_changes_no_classification(
    sentiment: Path, precision: Precision, num_tokens: int
) -> None:
    model = load_model(sentiment, CPU, precision=precision)
    mate = make_sequence(num_tokens)

    alone = probabilities_of(model, make_sequences(model, REVIEWS[1:2]))
    padded = probabilities_of(model, [*make_sequences(model, REVIEWS[1:2]), mate])[:1]

    assert np.abs(alone - padded).max() <= BATCH_TOLERANCES[precision]


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("precision", ["fp32", "w8"])
def test_batched_translation_equals_single_token_by_token(
    translation: Path, precision: Precision, beam_size: int
) -> None:
    model = load_model(translation, CPU, precision=precision)

    together = run_sequences(model.runner, make_sequences(model, SENTENCES, "ko", beam_size))

    for sentence, found in zip(SENTENCES, together, strict=True):
        (alone,) = run_sequences(model.runner, make_sequences(model, [sentence], "ko", beam_size))
        assert isinstance(found, list)
        assert isinstance(alone, list)
        assert [one.token_ids for one in found] == [one.token_ids for one in alone]
        assert [one.score for one in found] == pytest.approx(
            [one.score for one in alone], abs=BATCH_TOLERANCES[precision]
        )


def test_batched_int8_translation_scores_its_first_token_like_single(translation: Path) -> None:
    model = load_model(translation, CPU, precision="int8")

    def translate(sentences: list[str]) -> list[float]:
        sequences = make_sequences(model, sentences, "ko")
        for (
            sequence
        ) in sequences:  # later tokens of a random model are not comparable: errors accumulate
            sequence.search = SearchOptions(max_new_tokens=1)
        results = run_sequences(model.runner, sequences)
        return [result[0].score for result in results if isinstance(result, list)]

    alone = [translate([sentence])[0] for sentence in SENTENCES]
    assert translate(SENTENCES) == pytest.approx(alone, abs=0.2)


# --- precisions ---


def with_precisions(*precisions: Precision) -> Manifest:
    graphs = tuple(
        Graph(role="classifier", precision=precision, file="classifier.onnx")
        for precision in precisions
    )
    return make_manifest(graphs=graphs)


@pytest.mark.parametrize(
    ("device", "wanted", "there", "chosen"),
    [
        (CPU, "auto", ["fp32", "w8", "int8"], "int8"),
        (CPU, "auto", ["w8", "fp32"], "fp32"),
        (CPU, "auto", ["w8"], "w8"),
        (CPU, "w8", ["fp32", "w8", "int8"], "w8"),
        (CUDA, "auto", ["int8", "w8", "fp32"], "fp32"),
        (CUDA, "auto", ["int8", "w8"], "w8"),
    ],
)
def test_precision_is_the_requested_one_or_the_best_for_the_device(
    device: Device, wanted: str, there: list[Precision], chosen: Precision
) -> None:
    assert choose_precision(with_precisions(*there), device, wanted) == chosen


@pytest.mark.parametrize(
    ("device", "wanted", "there", "message"),
    [
        (CPU, "fp32", ["int8", "w8"], "no graphs in precision fp32 for cpu; it has int8, w8"),
        (CUDA, "int8", ["int8", "w8"], "int8 for cuda.* of which w8 can run there"),
        (CUDA, "auto", ["int8"], "of which none can run there"),
    ],
)
def test_missing_precision_is_rejected(
    device: Device, wanted: str, there: list[Precision], message: str
) -> None:
    with pytest.raises(ArtefactError, match=message):
        choose_precision(with_precisions(*there), device, wanted)


# --- loading ---


@pytest.mark.parametrize("name", ["classifier.fp32.onnx", "weights.bin", "tokenizer.json"])
def test_damaged_file_is_rejected_before_it_is_opened(broken: Path, name: str) -> None:
    with (broken / name).open("r+b") as stream:
        stream.seek(5)
        stream.write(b"\x00\xff")

    with pytest.raises(ArtefactError, match=rf"{name} is damaged"):
        load_model(broken, CPU)


def test_unknown_output_name_is_rejected_at_load(broken: Path) -> None:
    edit_manifest(broken, lambda fields: fields["graphs"][0].update(outputs={"scores": "logits"}))

    with pytest.raises(ArtefactError, match="missing outputs: logits; the manifest can map names"):
        load_model(broken, CPU, precision="fp32")


def test_unknown_input_name_is_rejected_at_load(broken: Path) -> None:
    edit_manifest(broken, lambda fields: fields["graphs"][0].update(inputs={"ids": "input_ids"}))

    with pytest.raises(ArtefactError, match="unknown inputs: ids"):
        load_model(broken, CPU, precision="fp32")


@pytest.mark.parametrize("error", [ArtefactError("refused"), DeviceUnavailable("refused")])
def test_graph_that_cannot_be_captured_is_opened_for_plain_runs(
    error: Exception, sentiment: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = OnnxSession(sentiment / "classifier.fp32.onnx", CPU)
    asked: list[bool] = []

    def open_session(can_capture: bool) -> OnnxSession:
        asked.append(can_capture)
        if can_capture:
            raise error
        return plain

    assert open_for_capture(open_session) is plain
    assert asked == [True, False]
    assert "not captured" in caplog.text


def test_graph_that_cannot_be_opened_at_all_is_an_error() -> None:
    def open_session(can_capture: bool) -> OnnxSession:
        raise ArtefactError("damaged")

    with pytest.raises(ArtefactError, match="damaged"):
        open_for_capture(open_session)
