import numpy as np
import pytest

from loadtests.bench.workloads.lengths import (
    MAX_TOKENS,
    MIN_TOKENS,
    draw_lengths,
    find_words,
    make_texts,
)
from loadtests.bench.workloads.shape_model import find_tokenizer
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
