import random

import pytest

from service.pipeline.streaming import SentenceText
from service.text.incremental_decoder import IncrementalDecoder
from tests.fakes import ByteTokenizer

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
    assert sentence.text == text


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
