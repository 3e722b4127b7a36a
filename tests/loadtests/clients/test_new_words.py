import random

import numpy as np

from loadtests.clients.new_words import NEW_WORD, make_word, renew_words


def test_words_of_both_generators_are_known_again() -> None:
    for rng in (random.Random(1), np.random.default_rng(1)):
        assert NEW_WORD.fullmatch(make_word(rng).encode())


def test_new_words_are_replaced_and_nothing_else() -> None:
    request = b'POST /classify HTTP/1.1\r\n\r\n{"inputs": "good qzabcd film qzdefgh, qzxyzw"}'
    renewed = renew_words(request, random.Random(1))
    assert len(renewed) == len(request)
    parts, old = renewed.split(), request.split()
    assert [new == was for new, was in zip(parts, old, strict=True)] == [True] * 5 + [
        False,
        True,
        True,
        False,
    ]
    assert renewed != renew_words(request, random.Random(2))
