"""Texts of a wanted number of tokens: the length mixes that the benchmark sends."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loadtests.clients.new_words import make_word
from loadtests.load.texts import REVIEWS
from service.text.tokenizer import Tokenizer

SEED = 11
MIN_TOKENS, MAX_TOKENS = 5, 60
# Of a log-normal distribution: with the bounds above it gives a mean of 18 tokens.
MEDIAN_TOKENS, SPREAD = 15.4, 0.58
NEW_WORDS = 1 / 8  # of all words
# A text of new words alone would be in no language. They are drawn more often where they may stand,
# since those that are too long for the rest of a text are left out, too.
KNOWN_BEFORE_NEW, NEW_WORD_CHANCE = 2, 1 / 4


def draw_lengths(num_texts: int, seed: int = SEED) -> NDArray[np.int64]:
    """Token counts, (num_texts): most texts are short, some are not."""
    rng = np.random.default_rng(seed)
    drawn = rng.lognormal(np.log(MEDIAN_TOKENS), SPREAD, num_texts)
    return np.clip(np.rint(drawn), MIN_TOKENS, MAX_TOKENS).astype(np.int64)


def make_texts(tokenizer: Tokenizer, lengths: Sequence[int], seed: int = SEED) -> list[str]:
    """A text for each length, that many tokens long, of words from reviews and some new ones."""
    words = find_words(tokenizer)
    rng = np.random.default_rng(seed)
    return [make_text(tokenizer, words, length, rng) for length in lengths]


def make_text(
    tokenizer: Tokenizer, words: Sequence[str], num_tokens: int, rng: np.random.Generator
) -> str:
    """A text of words that are one token each, and of new words, see `clients.new_words`."""
    text: list[str] = []
    known = set(words)
    while num_tokens:
        before = text[-KNOWN_BEFORE_NEW:]
        may_be_new = len(before) == KNOWN_BEFORE_NEW and known.issuperset(before)
        is_new = may_be_new and rng.random() < NEW_WORD_CHANCE
        word = make_word(rng) if is_new else str(rng.choice(words))
        length = len(tokenizer.encode(word))
        if length <= num_tokens:
            text.append(word)
            num_tokens -= length
    return " ".join(text)


def find_words(tokenizer: Tokenizer) -> list[str]:
    """Words that are one token each wherever they stand."""
    texts = [text for group in REVIEWS["en"] for text in group]
    words = sorted({word.strip(".,!") for text in texts for word in text.split()})
    return [
        word
        for word in words
        if len(tokenizer.encode(word)) == 1 and len(tokenizer.encode(f"{word} {word}")) == 2
    ]
