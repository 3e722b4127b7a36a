import pytest

from loadtests.bench.workloads.captions import KINDS, draw_counts, make_kind, make_sentences
from service.repository.model import LoadedModel
from service.text.sentences import segmenter
from tests.fakes import make_manifest, make_model


@pytest.fixture
def model() -> LoadedModel:
    return make_model(make_manifest("translation"))


def test_sentences_have_at_least_as_many_tokens_as_wanted(model: LoadedModel) -> None:
    counts = [5, 20, 300]
    found = [len(ids) for ids in model.encode(make_sentences(model, counts))]
    # a token of this tokenizer is a byte: the last word may overshoot
    assert all(count <= length < count + 12 for count, length in zip(counts, found, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_each_text_is_one_sentence(model: LoadedModel, kind: str) -> None:
    for text in make_kind(model, kind, 20):
        assert len(segmenter.split(text, "en")) == 1


def test_kinds_are_mixed_by_their_shares() -> None:
    counts = draw_counts(5000)
    for share, (low, high) in KINDS.values():
        found = sum(low <= count <= high for count in counts) / len(counts)
        assert found == pytest.approx(share, abs=0.03)
    assert counts == draw_counts(5000)
