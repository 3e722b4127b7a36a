import pytest

from loadtests.bench.contestants.split_classifier import GROUP_SIZE, SplitClassifier
from loadtests.bench.workloads.shape_model import ShapeModel, make_shape


@pytest.fixture(scope="module")
def shape(tmp_path_factory: pytest.TempPathFactory) -> ShapeModel:
    return make_shape(tmp_path_factory.mktemp("shape") / "fp32", "fp32")


def test_a_split_batch_is_answered_in_order_and_as_its_texts_alone(shape: ShapeModel) -> None:
    classifier = SplitClassifier(shape.graph, shape.tokenizer)
    texts = ["a film " * length for length in (30, 1, 12, 4, 25, 2)]
    rows = [classifier.encode(text) for text in texts]
    assert len(rows) > GROUP_SIZE

    together = classifier.classify(rows)

    alone = [classifier.classify([row])[0] for row in rows]
    assert len({str(answer) for answer in alone}) == len(texts)
    for found, expected in zip(together, alone, strict=True):
        assert [each["label"] for each in found[0]] == [each["label"] for each in expected[0]]
        scores = [[each["score"] for each in answer[0]] for answer in (found, expected)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)
        assert sum(scores[0]) == pytest.approx(1.0)
