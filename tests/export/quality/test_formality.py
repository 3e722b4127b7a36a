from export.quality.formality import judge_formality
from service.engine.batch import Hypothesis, Result, TokenSequence
from service.repository.manifest import SpecialIds
from tests.fakes import EOS_ID, PAD_ID, ByteTokenizer, FakeRunner, make_manifest, make_model

FORMAL, CASUAL = 6, 7
TOKENIZER = ByteTokenizer()


def address(sequence: TokenSequence) -> Result:
    """Formal if asked to be; casual only where the source is long; else it addresses nobody."""
    if sequence.start_id == FORMAL:
        text = "Ich danke Ihnen"
    else:
        text = "Ich danke dir" if sequence.num_tokens > 20 else "Ja"
    return [Hypothesis(TOKENIZER.encode(text), -0.1)]


def test_share_is_of_the_sentences_that_address_somebody() -> None:
    ids = SpecialIds(
        pad_id=PAD_ID,
        eos_id=EOS_ID,
        start_ids={"en": 3, "de": 4},
        level_ids={"de": {"formal": FORMAL, "casual": CASUAL}},
    )
    model = make_model(make_manifest("translation", ids=ids), FakeRunner(address))

    found = dict(judge_formality(model, "en", "de", 1))

    assert found["more"].value == found["less"].value == 100.0
    assert found["less"].signature != found["more"].signature


def test_language_without_levels_is_not_judged() -> None:
    model = make_model(make_manifest("translation"), FakeRunner(address))

    assert list(judge_formality(model, "en", "de", 1)) == []
