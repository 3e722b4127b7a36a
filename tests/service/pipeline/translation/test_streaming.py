import random

import pytest

from service.answers import Delta
from service.pipeline.translation.streaming import GrowingTexts, SentenceText
from service.text.incremental_decoder import IncrementalDecoder
from tests.fakes import ByteTokenizer, shout
from tests.service.pipeline.stand import open_document

TOKENIZER = ByteTokenizer()


def open_sentence() -> SentenceText:
    return SentenceText(IncrementalDecoder(TOKENIZER.decode, TOKENIZER.tokens))


@pytest.mark.parametrize("text", ["plain", "지하철역은 어디죠?", "naïve 🙂 café", "👩‍👩‍👧 ok"])
def test_characters_are_given_whole_and_never_taken_back(text: str) -> None:
    sentence, before = open_sentence(), ""
    for token_id in TOKENIZER.encode(text):
        sentence.add([token_id])
        assert sentence.text.startswith(before)
        assert text.startswith(sentence.text)
        before = sentence.text
    assert sentence.text == text.rstrip("?")


@pytest.mark.parametrize("seed", range(5))
def test_any_cut_of_the_tokens_gives_the_same_text(seed: int) -> None:
    rng, text = random.Random(seed), "Wo ist die U-Bahn? 지하철역 🙂"
    token_ids = TOKENIZER.encode(text)
    sentence = open_sentence()
    while token_ids:
        size = rng.randint(1, 7)
        sentence.add(token_ids[:size])
        token_ids = token_ids[size:]
    assert sentence.text == text


def test_broken_end_is_held_back() -> None:
    sentence = open_sentence()
    sentence.add(TOKENIZER.encode("é")[:1])
    assert sentence.text == ""


@pytest.mark.parametrize(
    ("text", "certain"),
    [
        ("So.", "So"),
        ("So. ", "So."),
        ("„So!“", "„So"),
        ("So. Na", "So. Na"),
        ("z.B", "z.B"),
        ("...", ""),
        ("12 ", ""),
        ("So \ufffd na", "So"),
        ("So \ue000 na", "So"),
    ],
)
def test_what_may_change_at_the_end_is_held_back(text: str, certain: str) -> None:
    sentence = open_sentence()
    sentence.add(TOKENIZER.encode(text))
    assert sentence.text == certain


def test_sentences_are_given_in_the_order_of_their_text() -> None:
    growing = GrowingTexts([open_document("a.\nb.\n"), open_document("c.")], "text")
    first, second, third = growing.sequences

    growing.add_tokens(second, TOKENIZER.encode("B"))
    assert growing.take_deltas() == []
    growing.add_tokens(first, TOKENIZER.encode("A"))
    growing.add_tokens(third, TOKENIZER.encode("C"))
    assert growing.take_deltas() == [Delta(0, "A"), Delta(1, "C")]
    growing.finish(first, shout(first))
    assert growing.take_deltas() == [Delta(0, ".\nB")]
    growing.finish(second, shout(second))
    growing.finish(third, shout(third))

    assert growing.take_deltas() == [Delta(0, ".\n"), Delta(1, ".")]
    assert growing.texts == ["A.\nB.\n", "C."]
    assert growing.num_unfinished == 0


def test_tokens_that_come_after_the_end_change_nothing() -> None:
    growing = GrowingTexts([open_document("a.")], "text")
    (sequence,) = growing.sequences

    growing.finish(sequence, shout(sequence))
    growing.add_tokens(sequence, TOKENIZER.encode("A."))

    assert growing.take_deltas() == [Delta(0, "A.")]
    assert growing.take_deltas() == []
