"""The words of a language that a model learnt from, to tell them from words that it makes up.

A translator writes words in pieces, and of a word that it hardly knows it joins the wrong ones. The
words are kept as a Bloom filter (Bloom 1970, "Space/time trade-offs in hash coding with allowable
errors"): a byte each, and one in fifty made-up words passes for known.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b

import regex

WORD = regex.compile(r"\p{L}[\p{L}\p{M}]*")
BITS_PER_WORD = 8
MAX_REMEMBERED = 10_000
NUM_HASHES = 6  # the best for eight bits: 8 ln 2


def find_words(text: str) -> list[str]:
    """The words of a text in small letters; what an apostrophe or a hyphen joins is several."""
    return WORD.findall(text.lower())


class Lexicon:
    """A set of words that takes some others for its own, too.

    Args:
        bits: what `to_bytes` gave.
    """

    def __init__(self, bits: bytes) -> None:
        self._bits = bits
        self._remembered = lru_cache(MAX_REMEMBERED)(self._has)  # hypotheses share their words

    @classmethod
    def of(cls, words: Iterable[str]) -> "Lexicon":
        known = set(words)
        bits = bytearray(len(known) * BITS_PER_WORD // 8 + 1)
        for word in known:
            for place in find_places(word, len(bits)):
                bits[place >> 3] |= 1 << (place & 7)
        return cls(bytes(bits))

    def to_bytes(self) -> bytes:
        return self._bits

    def __contains__(self, word: str) -> bool:
        return self._remembered(word)

    def _has(self, word: str) -> bool:
        return all(
            self._bits[place >> 3] >> (place & 7) & 1
            for place in find_places(word, len(self._bits))
        )

    def count_unknown(self, text: str, source: str) -> int:
        """The number of words of a text that are neither known nor copied from its source."""
        copied = set(find_words(source))
        return sum(word not in copied and word not in self for word in find_words(text))


def find_places(word: str, num_bytes: int) -> Iterator[int]:
    """The bits of a word, all of two hashes (Kirsch and Mitzenmacher 2006, section 3)."""
    digest = blake2b(word.encode(), digest_size=16).digest()
    first, second = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
    return ((first + number * second) % (8 * num_bytes) for number in range(NUM_HASHES))
