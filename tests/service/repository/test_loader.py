import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.arrays import FloatArray
from service.engine.batch import SearchOptions, TokenSequence
from service.engine.device import Device
from service.engine.runner import run_sequences
from service.engine.session import OnnxSession
from service.errors import ArtefactError, DeviceUnavailable, InferenceFailed
from service.repository.goldens import answer_golden, check_goldens
from service.repository.loader import choose_precision, load_model, open_for_capture
from service.repository.manifest import MANIFEST, Golden, Graph, Limits, Manifest, Precision
from service.repository.model import LoadedModel, make_sequences, new_token_limit, softmax
from tests.fakes import ByteTokenizer, FakeRunner, make_manifest, make_model, make_sequence
from tests.reviews import REVIEWS

CPU, CUDA = Device("cpu"), Device("cuda")
PRECISIONS: list[Precision] = ["fp32", "w8", "int8"]

# Largest difference of a probability. int8 scales the activations of a whole batch together, so
# its answers do depend on the batch, within rounding.
BATCH_TOLERANCES: dict[Precision, float] = {"fp32": 1e-5, "w8": 1e-5, "int8": 0.03}

SENTENCES = ["A man is riding a bicycle.", "Hello.", "Where is the station?", "snow", "I see it"]


@pytest.fixture
def sentiment(tiny_repository: Path) -> Path:
    return tiny_repository / "tiny-classification-gru" / "1"


@pytest.fixture
def translation(tiny_repository: Path) -> Path:
    return tiny_repository / "tiny-translation-lstm" / "1"


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


@pytest.fixture
def broken(sentiment: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    folder = tmp_path / sentiment.parent.name / sentiment.name
    shutil.copytree(sentiment, folder)
    return folder


def edit_manifest(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    fields = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    edit(fields)
    (folder / MANIFEST).write_text(json.dumps(fields), encoding="utf-8")


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


def test_model_is_titled_by_name_version_precision_and_device(sentiment: Path) -> None:
    model = load_model(sentiment, CPU, precision="w8")

    assert model.title == "tiny-classification-gru/1 in w8 on cpu"


# --- goldens ---


@pytest.mark.parametrize("precision", ["auto", *PRECISIONS])
@pytest.mark.parametrize("name", ["tiny-classification-gru", "tiny-translation-lstm"])
def test_goldens_pass_in_every_precision(
    tiny_repository: Path, name: str, precision: Precision
) -> None:
    model = load_model(tiny_repository / name / "1", CPU, precision=precision)

    assert model.manifest.goldens
    check_goldens(model)


def falsify_golden(folder: Path, **update: object) -> LoadedModel:
    edit_manifest(folder, lambda fields: fields["goldens"][0].update(update))
    return load_model(folder, CPU, precision="fp32")


def test_golden_with_a_wrong_score_is_rejected(broken: Path) -> None:
    with pytest.raises(ArtefactError, match=r"fails its golden check .* expected .* \(0\.100\)"):
        check_goldens(falsify_golden(broken, score=0.1))


def test_golden_with_a_wrong_label_is_rejected(broken: Path) -> None:
    model = load_model(broken, CPU, precision="fp32")
    golden = model.manifest.goldens[0]
    (other,) = set(model.manifest.labels) - {golden.output}

    with pytest.raises(ArtefactError, match=f"expected '{other}'"):
        check_goldens(falsify_golden(broken, output=other, score=golden.score))


def test_golden_translation_with_a_wrong_score_is_rejected(
    translation: Path, tmp_path: Path
) -> None:
    folder = tmp_path / translation.parent.name / translation.name
    shutil.copytree(translation, folder)

    with pytest.raises(ArtefactError, match="fails its golden check"):
        check_goldens(falsify_golden(folder, score=-9.0))


def test_golden_without_tokens_is_rejected(broken: Path) -> None:
    with pytest.raises(ArtefactError, match=r"fails its golden check .*no tokens"):
        check_goldens(falsify_golden(broken, text=""))


def test_golden_on_which_the_engine_fails_is_rejected() -> None:
    runner = FakeRunner()
    runner.failures = [InferenceFailed("out of memory")]
    golden = Golden(text="good", output="positive", score=0.9)

    with pytest.raises(ArtefactError, match=r"fails its golden check .*out of memory"):
        check_goldens(make_model(make_manifest(goldens=(golden,)), runner))


def test_golden_answer_is_label_and_probability() -> None:
    model = make_model(make_manifest())

    label, probability = answer_golden(model, Golden(text="good!", output="", score=0.0))

    assert label == "positive"
    assert probability == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-5)


@pytest.mark.parametrize(("odds", "label"), [(0.1, "negative"), (0.9, "positive")])
def test_another_processor_may_turn_a_near_tie(odds: float, label: str) -> None:
    runner = FakeRunner(lambda _: np.array([0.0, odds], dtype=np.float32))
    golden = Golden(text="so so", output="negative", score=0.51)

    found, _ = answer_golden(make_model(make_manifest(), runner), golden)

    assert found == label


# --- requests ---


def test_source_of_a_translation_is_tokens_and_eos() -> None:
    model = make_model(make_manifest("translation"))

    (encoded,) = model.encode(["ab"])

    assert (encoded[-1], len(encoded)) == (model.manifest.ids.eos_id, 3)


def test_capitals_are_kept_for_classifiers_and_if_the_manifest_says_so() -> None:
    lowering = make_model(make_manifest("translation"))
    keeping = make_model(make_manifest("translation", lower_capitals=False))
    classifier = make_model(make_manifest())

    assert lowering.normalize_case(["GO ON"], "en") == ["Go on"]
    assert (
        keeping.normalize_case(["GO ON"], "en")
        == classifier.normalize_case(["GO ON"], "en")
        == ["GO ON"]
    )


class WordTokenizer(ByteTokenizer):
    """Has a token for each known word; other words are a token per byte."""

    known = ("dogs", "two", "Two", "Anna", "play", "in", "In")

    def encode(self, text: str) -> list[int]:
        return [1] if text in self.known else super().encode(text)


def test_headlines_are_read_in_sentence_case_except_for_names_and_nouns_in_capitals() -> None:
    model = replace(make_model(make_manifest("translation")), tokenizer=WordTokenizer())
    headline = "Two Dogs Play In Berlin, Anna"

    assert model.normalize_case([headline], "en") == ["Two dogs play in Berlin, Anna"]
    assert model.normalize_case([headline], "de") == [headline]


def test_sequence_starts_with_the_token_of_its_target() -> None:
    model = make_model(make_manifest("translation"))

    (sequence,) = make_sequences(model, ["ab"], "de")

    assert sequence.start_id == model.manifest.ids.start_ids["de"]


def test_text_without_tokens_encodes_to_nothing() -> None:
    assert make_model(make_manifest("translation")).encode(["  "]) == [[]]


def test_sequences_of_an_empty_text_are_rejected() -> None:
    with pytest.raises(ValueError, match="no tokens"):
        make_sequences(make_model(make_manifest()), [" "])


def test_results_come_in_the_order_of_the_sequences() -> None:
    sequences = [make_sequence(length) for length in (9, 1, 5, 3, 7)]

    results = run_sequences(FakeRunner(max_rows=2), sequences, max_batch_tokens=9)

    assert [int(np.asarray(result)[1]) for result in results] == [9, 1, 5, 3, 7]


@pytest.mark.parametrize(("num_tokens", "limit"), [(1, 18), (10, 36), (500, 256)])
def test_translations_end_at_twice_the_length_or_the_models_limit(
    num_tokens: int, limit: int
) -> None:
    assert new_token_limit(range(num_tokens), make_manifest("translation")) == limit


@pytest.mark.parametrize(("num_tokens", "limit"), [(1, 24), (10, 55), (70, 256)])
def test_a_manifest_says_how_long_translations_get(num_tokens: int, limit: int) -> None:
    limits = Limits(max_input_tokens=100, new_tokens_base=20, new_tokens_per_token=3.45)
    manifest = make_manifest("translation", limits=limits)

    assert new_token_limit(range(num_tokens), manifest) == limit


def test_softmax_survives_large_logits() -> None:
    scores = softmax(np.array([[1000.0, 0.0], [-1000.0, -1000.0]], dtype=np.float32))

    assert scores.tolist() == [[1.0, 0.0], [0.5, 0.5]]


def test_probabilities_from_the_graph_are_unchanged() -> None:
    scores = np.array([0.25, 0.75], dtype=np.float32)

    assert make_model(make_manifest(output_kind="probabilities")).probabilities(scores) is scores


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
