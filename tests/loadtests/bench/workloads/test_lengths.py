import numpy as np
import pytest

from loadtests.bench.workloads.lengths import (
    MAX_TOKENS,
    MIN_TOKENS,
    NEW_WORDS,
    draw_lengths,
    find_words,
    make_texts,
)
from loadtests.bench.workloads.shape_model import find_tokenizer
from loadtests.clients.new_words import MARK
from service.text.tokenizer import Tokenizer


def test_lengths_are_those_that_the_benchmark_promises() -> None:
    lengths = draw_lengths(20_000)
    assert (lengths.min(), lengths.max()) == (MIN_TOKENS, MAX_TOKENS) == (5, 60)
    assert lengths.mean() == pytest.approx(18.0, abs=0.3)


def test_same_seed_gives_the_same_lengths() -> None:
    assert np.array_equal(draw_lengths(100), draw_lengths(100))
    assert not np.array_equal(draw_lengths(100), draw_lengths(100, seed=1))


def test_texts_have_as_many_tokens_as_wanted() -> None:
    tokenizer = Tokenizer.load(find_tokenizer())
    lengths = draw_lengths(50).tolist()
    texts = make_texts(tokenizer, lengths)
    assert [len(tokenizer.encode(text)) for text in texts] == lengths
    assert texts == make_texts(tokenizer, lengths)
    assert len(find_words(tokenizer)) > 50


def test_some_words_are_new() -> None:
    tokenizer = Tokenizer.load(find_tokenizer())
    texts = make_texts(tokenizer, draw_lengths(400).tolist())
    words = [word for text in texts for word in text.split()]
    new = [word for word in words if word.startswith(MARK)]
    assert len(new) / len(words) == pytest.approx(NEW_WORDS, abs=0.03)
    assert not any(word.startswith(MARK) for word in find_words(tokenizer))
