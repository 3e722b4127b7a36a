import random
import unicodedata
from pathlib import Path

import pytest

from models.training.vocabulary import BYTES, EOS, PAD, drop_merges, start_token, train_tokenizer
from service.text.tokenizer import Tokenizer

TEXTS = ["the cat sat on the mat.", "the dog ate the cat's hat!", "A man rides 12 bicycles."] * 4


def make_tokenizer(vocab_size: int = 320, lowercase: bool = False) -> Tokenizer:
    return train_tokenizer(TEXTS, vocab_size, ["en", "ko"], lowercase)


def test_ids_have_the_documented_layout() -> None:
    tokenizer = make_tokenizer()

    assert [tokenizer.token_id(token) for token in (PAD, EOS)] == [0, 1]
    assert [tokenizer.token_id(start_token(code)) for code in ("en", "ko")] == [2, 3]
    assert [tokenizer.token_id(token) for token in BYTES] == list(range(4, 260))


def test_vocabulary_has_the_requested_size() -> None:
    assert make_tokenizer(300).vocab_size == 300


def test_small_data_gives_fewer_tokens() -> None:
    assert 260 < make_tokenizer(5000).vocab_size < 5000


@pytest.mark.parametrize("vocab_size", [1, 260])
def test_vocabulary_without_room_for_words_is_rejected(vocab_size: int) -> None:
    with pytest.raises(ValueError, match=f"vocab_size is {vocab_size}; it must be above 260"):
        make_tokenizer(vocab_size)


def test_same_texts_give_the_same_vocabulary(samples: Path) -> None:
    """Many syllables occur once, so the choice among them must be deterministic."""
    lines = (samples / "nsmc" / "train.tsv").read_text(encoding="utf-8").splitlines()
    vocabularies = []
    for _ in range(3):
        tokenizer = train_tokenizer(lines, 700, [], lowercase=False)
        vocabularies.append(tokenizer.tokens(range(tokenizer.vocab_size)))

    assert vocabularies[0] == vocabularies[1] == vocabularies[2]


def test_alphabet_holds_the_most_frequent_characters() -> None:
    texts = [chr(0xAC00 + number) for number in range(300) for _ in range(1 + number)]
    tokenizer = train_tokenizer(texts, 600, [], lowercase=False)

    rare, frequent = (tokenizer.encode(character) for character in (texts[0], texts[-1]))
    assert len(rare) == 4  # the space and three bytes
    assert len(frequent) == 1


def test_frequent_words_become_one_token() -> None:
    tokenizer = make_tokenizer()

    assert tokenizer.tokens(tokenizer.encode("the cat")) == ["▁the", "▁cat"]


def test_punctuation_and_digits_are_single_tokens() -> None:
    tokenizer = make_tokenizer()

    tokens = tokenizer.tokens(tokenizer.encode("mat.12!"))
    assert [token for token in tokens if "." in token or "!" in token] == [".", "!"]
    assert not any("t.1" in token or ".1" in token for token in tokens)


def test_character_outside_the_alphabet_is_spelt_in_bytes() -> None:
    tokenizer = make_tokenizer()

    assert tokenizer.tokens(tokenizer.encode("the 김")) == [
        "▁the",
        "▁",
        "<0xEA>",
        "<0xB9>",
        "<0x80>",
    ]


def test_lowercase_is_a_setting() -> None:
    tokenizer = make_tokenizer(lowercase=True)

    assert tokenizer.encode("THE CAT") == tokenizer.encode("the cat")
    assert tokenizer.decode(tokenizer.encode("THE CAT")) == "the cat"


def test_case_is_kept_by_default() -> None:
    tokenizer = make_tokenizer()

    assert tokenizer.decode(tokenizer.encode("THE Cat")) == "THE Cat"


def test_no_character_is_unknown() -> None:
    tokenizer = make_tokenizer()
    rng = random.Random(1)
    characters = [
        chr(code)
        for code in rng.sample(range(0x110000), 3000)
        if unicodedata.category(chr(code)) not in ("Cn", "Cs", "Co")
    ]

    for character in characters:
        text = f"a{character}b"
        ids = tokenizer.encode(text)
        assert min(ids) >= 5
        assert tokenizer.decode(ids) == unicodedata.normalize("NFC", text)


def test_dropped_merges_give_other_segmentations() -> None:
    tokenizer = make_tokenizer()
    loose = drop_merges(tokenizer, 0.5)
    usual = tokenizer.encode(TEXTS[0])

    spellings = loose.encode_batch([TEXTS[0]] * 50)

    assert len({tuple(ids) for ids in spellings}) > 10
    assert all(len(ids) >= len(usual) for ids in spellings)
    assert {loose.decode(ids) for ids in spellings} == {TEXTS[0]}
    assert tokenizer.encode(TEXTS[0]) == usual  # the tokenizer that was given is as before
