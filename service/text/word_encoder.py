"""Remembers the token ids of words, for tokenizers to which a text is one word after the other.

Most words of a text have been seen before, and to look one up takes a small part of the time that
it takes to encode it.
"""

import json
import re
from functools import lru_cache
from itertools import chain
from typing import Any
from unicodedata import is_normalized

import tokenizers
from tokenizers import models

# The longest words are seldom seen again; all together take 5 MB.
MAX_WORDS, MAX_WORD_CHARS = 20_000, 40
# What Python takes for white space and tokenizers does not, and the sign for a space itself.
UNLIKE = re.compile("[\x1c-\x1f\u2581]")
# They change a character by itself or with those of its own word.
LOWERCASE = "Lowercase"
NORMALIZERS = frozenset({"NFC", LOWERCASE})
# They part a word at what is not a letter.
SPLITTERS = frozenset({"Punctuation", "Digits"})
WORD_SIGN = "\u2581"


def reads_words_apart(backend: tokenizers.Tokenizer) -> bool:
    """Whether the ids of a text are those of its words, if white space does nothing but part them.

    Args:
        backend: as it is in its file, without steps that remove layout.
    """
    steps = list_steps(backend.pre_tokenizer, "pretokenizers")
    is_split = bool(steps) and (
        steps[0]["type"] == "Metaspace"
        and steps[0].get("prepend_scheme") == "always"
        and steps[0].get("split") is True
    )
    return (
        is_split
        and all(
            step["type"] in NORMALIZERS for step in list_steps(backend.normalizer, "normalizers")
        )
        and isinstance(backend.model, models.BPE)
        and not backend.model.dropout
        and backend.post_processor is None
        and all(token.special for token in backend.get_added_tokens_decoder().values())
    )


def list_steps(part: Any, kind: str) -> list[dict[str, Any]]:
    """The steps of a normalizer or pre-tokenizer as its file describes them."""
    if part is None:
        return []
    described: dict[str, Any] = json.loads(part.__getstate__())
    steps: list[dict[str, Any]] = described.get(kind, [described])
    return steps


class WordEncoder:
    """Encodes texts word by word.

    Args:
        backend: that reads words apart, and special tokens as plain text.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self._backend = backend
        self._model = backend.model
        steps = list_steps(backend.normalizer, "normalizers")
        self._lowers = any(step["type"] == LOWERCASE for step in steps)
        _, *splitters = list_steps(backend.pre_tokenizer, "pretokenizers")
        self._keeps_letters = all(step["type"] in SPLITTERS for step in splitters)
        self._recall = lru_cache(MAX_WORDS)(self._encode_word)

    def encode(self, text: str) -> list[int]:
        """The ids that the tokenizer gives for the whole text; raises what it raises."""
        if UNLIKE.search(text):
            return self._backend.encode(text).ids
        words = text.split()
        longest = max(map(len, words), default=0)
        encode = self._recall if longest <= MAX_WORD_CHARS else self._encode_any
        return list(chain.from_iterable(map(encode, words)))

    @property
    def num_remembered(self) -> int:
        """Words that it would not have to encode again."""
        return self._recall.cache_info().currsize

    def _encode_any(self, word: str) -> list[int]:
        return self._recall(word) if len(word) <= MAX_WORD_CHARS else self._encode_word(word)

    def _encode_word(self, word: str) -> list[int]:
        if not (self._keeps_letters and word.isalpha() and self._is_normal(word)):
            return self._backend.encode(word).ids
        # nothing to split: a third of the time
        return [token.id for token in self._model.tokenize(WORD_SIGN + word)]

    def _is_normal(self, word: str) -> bool:
        """Whether the normalizer would leave a word of letters as it is."""
        if self._lowers:
            return word.isascii() and word.islower()
        return is_normalized("NFC", word)
