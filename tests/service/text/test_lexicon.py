"""The words that a model learnt from."""

import random

from service.text.lexicon import Lexicon, find_words


def make_words(seed: int, number: int) -> set[str]:
    rng = random.Random(seed)
    return {"".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=10)) for _ in range(number)}


def test_every_word_is_known_and_few_others() -> None:
    words, others = make_words(1, 20_000), make_words(2, 20_000)

    lexicon = Lexicon.of(words)

    assert all(word in lexicon for word in words)
    assert sum(word in lexicon for word in others - words) < 0.03 * len(others)


def test_a_lexicon_comes_back_from_its_bytes() -> None:
    lexicon = Lexicon.of(find_words("Straße 배고파요"))

    again = Lexicon(lexicon.to_bytes())

    assert len(lexicon.to_bytes()) <= 3
    assert all(word in again for word in find_words("straße 배고파요"))


def test_an_empty_lexicon_knows_nothing() -> None:
    assert "word" not in Lexicon.of([])


def test_words_that_are_made_up_are_counted_and_copied_ones_are_not() -> None:
    lexicon = Lexicon.of(find_words("wir treffen uns mit im park don't"))

    assert lexicon.count_unknown("Wir treffen uns im Park.", "") == 0
    assert lexicon.count_unknown("Wir treffen Zyxwall im Kossch.", "We meet Zyxwall") == 1
    assert lexicon.count_unknown("42 %, don't!", "") == 0
