from export.quality.translate import translate_texts
from service.engine.batch import Hypothesis, Result, TokenSequence
from service.repository.manifest import Limits
from tests.fakes import FakeRunner, make_manifest, make_model


def echo(sequence: TokenSequence) -> Result:
    return [Hypothesis(sequence.input_ids[:-1], -0.5)]


def test_text_is_split_into_sentences_as_served() -> None:
    runner = FakeRunner(echo)
    model = make_model(make_manifest("translation"), runner)
    texts = ["One sentence. Another one.", "", "A\n\nB", "GO ON! NOW"]

    assert translate_texts(model, texts, "en", "de", 1) == texts
    read = [
        model.tokenizer.decode(sequence.input_ids) for batch in runner.batches for sequence in batch
    ]
    assert sorted(read) == ["A", "Another one.", "B", "Go on!", "Now", "One sentence."]


def test_text_that_the_server_rejects_has_no_translation() -> None:
    manifest = make_manifest("translation", limits=Limits(max_input_tokens=5))

    texts = translate_texts(
        make_model(manifest, FakeRunner(echo)), ["longtext", "ok"], "en", "de", 1
    )

    assert texts == ["", "ok"]
