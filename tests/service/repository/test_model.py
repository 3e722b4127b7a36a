"""A version: its title, its tokens, its limits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.engine.runtime.device import Device
from service.repository.loader import load_model
from service.repository.manifest import Limits
from service.repository.model import make_sequences, new_token_limit, softmax
from tests.fakes import ByteTokenizer, make_manifest, make_model

CPU = Device("cpu")


def test_model_is_titled_by_name_version_precision_and_device(sentiment: Path) -> None:
    model = load_model(sentiment, CPU, precision="w8")

    assert model.title == "tiny-classification-gru/1 in w8 on cpu"


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


def test_words_are_read_in_the_case_that_the_vocabulary_has() -> None:
    model = replace(make_model(make_manifest("translation")), tokenizer=WordTokenizer())
    texts = ["Dogs", "Play", "Anna", "anna will play", "I saw anna"]

    expected = ["dogs", "play", "Anna", "Anna will play", "I saw Anna"]
    assert model.normalize_case(texts, "en") == expected
    assert model.normalize_case(["Dogs", "In", "Ich sah anna", "two zwei"], "de") == [
        *("Dogs", "In", "Ich sah Anna", "two zwei")
    ]


def test_sequence_starts_with_the_token_of_its_target() -> None:
    model = make_model(make_manifest("translation"))

    (sequence,) = make_sequences(model, ["ab"], "de")

    assert sequence.start_id == model.manifest.ids.start_ids["de"]


def test_text_without_tokens_encodes_to_nothing() -> None:
    assert make_model(make_manifest("translation")).encode(["  "]) == [[]]


def test_sequences_of_an_empty_text_are_rejected() -> None:
    with pytest.raises(ValueError, match="no tokens"):
        make_sequences(make_model(make_manifest()), [" "])


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
