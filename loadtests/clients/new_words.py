"""Words that no server has seen before.

Texts of real use have them all the time: one word in eight of English film reviews is not among the
20,000 last different ones. A benchmark that repeats its texts has none, and flatters a server that
remembers words.
"""

import random
import re
import string

import numpy as np

MARK = "qz"  # no other word of the texts begins with it
LETTERS = list(string.ascii_lowercase)
NUM_LETTERS = 4  # after the mark: more words than a server remembers
# As in cycle.lua.
NEW_WORD = re.compile(rf"\b{MARK}[a-z]{{{NUM_LETTERS}}}\b".encode())


def make_word(rng: random.Random | np.random.Generator) -> str:
    return MARK + "".join(rng.choice(LETTERS) for _ in range(NUM_LETTERS))


def renew_words(request: bytes, rng: random.Random) -> bytes:
    """The request with other new words in the places of its own, as long as before."""
    return NEW_WORD.sub(lambda _: make_word(rng).encode(), request)
