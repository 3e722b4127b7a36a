import json
import random
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pytest
import tokenizers
import torch

from models.training.vocabulary.subwords import (
    BYTES,
    EOS,
    PAD,
    drop_merges,
    start_token,
    start_tokens,
    train_tokenizer,
    transfer_rows,
)
from service.text.levels.speech_level import LEVELS
from service.text.masking.masks import ALL_MASKS
from service.text.tokenizer import Tokenizer

FIRST_BYTE = 2 + len(start_tokens(["en", "ko"]))
FIRST_MASK = FIRST_BYTE + len(BYTES)
NUM_RESERVED = FIRST_MASK + len(ALL_MASKS)
TEXTS = ["the cat sat on the mat.", "the dog ate the cat's hat!", "A man rides 12 bicycles."] * 4


def make_tokenizer(vocab_size: int = 320, lowercase: bool = False) -> Tokenizer:
    return train_tokenizer(TEXTS, vocab_size, ["en", "ko"], lowercase)


def test_ids_have_the_documented_layout() -> None:
    tokenizer = make_tokenizer()

    assert [tokenizer.token_id(token) for token in (PAD, EOS)] == [0, 1]
    starts = ["<2en>", "<2ko>", *(f"<2ko:{level}>" for level in LEVELS["ko"])]
    assert [tokenizer.token_id(token) for token in starts] == list(range(2, FIRST_BYTE))
    assert [tokenizer.token_id(token) for token in BYTES] == list(range(FIRST_BYTE, FIRST_MASK))
    assert [tokenizer.token_id(mask) for mask in ALL_MASKS] == list(range(FIRST_MASK, NUM_RESERVED))


def test_vocabulary_has_the_requested_size() -> None:
    assert make_tokenizer(320).vocab_size == 320


def test_small_data_gives_fewer_tokens() -> None:
    assert NUM_RESERVED < make_tokenizer(5000).vocab_size < 5000


@pytest.mark.parametrize("vocab_size", [1, NUM_RESERVED])
def test_vocabulary_without_room_for_words_is_rejected(vocab_size: int) -> None:
    with pytest.raises(
        ValueError, match=f"vocab_size is {vocab_size}; it must be above {NUM_RESERVED}"
    ):
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
        assert min(ids) > FIRST_BYTE
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


@pytest.mark.parametrize("mask", ALL_MASKS)
@pytest.mark.parametrize("text", ["the {}", "{} cat", "the{}cat", "({}).", "{}{}", "{}1"])
def test_mask_is_a_token_of_its_own(text: str, mask: str) -> None:
    tokenizer = make_tokenizer()
    masked = text.replace("{}", mask)

    token_ids = tokenizer.encode(masked)

    assert tokenizer.tokens(token_ids).count(mask) == text.count("{}")
    assert tokenizer.decode(token_ids) == masked


def test_masks_of_the_texts_are_not_merged() -> None:
    texts = [*TEXTS, *[f"see {ALL_MASKS[0]}, {ALL_MASKS[8]}를 the cat"] * 50]

    tokenizer = train_tokenizer(texts, 400, ["en", "ko"], lowercase=False)
    spelled = tokenizer.tokens(tokenizer.encode(texts[-1]))

    assert [token for token in spelled if set(token) & set(ALL_MASKS)] == [
        ALL_MASKS[0],
        ALL_MASKS[8],
    ]
    assert tokenizer.decode(tokenizer.encode(texts[-1])) == texts[-1]
    assert tokenizer.token_id(ALL_MASKS[0]) == FIRST_MASK


def test_digits_are_tokens_of_their_own() -> None:
    texts = [*TEXTS, *["in 2024 and 2024 and 2024"] * 50]
    tokenizer = train_tokenizer(texts, 400, ["en", "ko"], lowercase=False)

    spelled = tokenizer.tokens(tokenizer.encode("in 2024"))

    assert [token for token in spelled if any(map(str.isdigit, token))] == ["2", "0", "2", "4"]


@pytest.mark.parametrize("token", start_tokens(["de", "en", "ko"]))
def test_start_tokens_are_not_read_from_texts(token: str) -> None:
    tokenizer = train_tokenizer(TEXTS, 400, ["de", "en", "ko"], lowercase=False)

    assert tokenizer.token_id(token) not in tokenizer.encode(token)
    assert tokenizer.decode([tokenizer.token_id(token)]) == ""
    assert tokenizer.decode(tokenizer.encode(token)) == token


def test_start_tokens_name_languages_and_their_levels() -> None:
    assert start_tokens(["en", "de"]) == ["<2en>", "<2de>", "<2de:formal>", "<2de:casual>"]


def test_level_starts_from_the_row_of_its_language() -> None:
    old = without_tokens(make_tokenizer(), [f"<2ko:{level}>" for level in LEVELS["ko"]])
    new = make_tokenizer()
    rows = torch.randn(old.vocab_size, 4, generator=torch.Generator().manual_seed(1))

    transferred = transfer_rows(rows, old, new)

    for level in (None, *LEVELS["ko"]):
        row = transferred[new.token_id(start_token("ko", level))]
        assert torch.equal(row, rows[old.token_id("<2ko>")])
    for token in ("<2en>", ALL_MASKS[3], "▁the"):
        assert torch.equal(transferred[new.token_id(token)], rows[old.token_id(token)])


def test_new_masks_start_from_the_bytes_that_spelt_them() -> None:
    old, new = without_tokens(make_tokenizer(), ALL_MASKS), make_tokenizer()
    rows = torch.randn(old.vocab_size, 4, generator=torch.Generator().manual_seed(1))

    transferred = transfer_rows(rows, old, new)

    spelled = [old.token_id(f"<0x{byte:02X}>") for byte in ALL_MASKS[0].encode()]
    assert torch.allclose(transferred[new.token_id(ALL_MASKS[0])], rows[spelled].mean(dim=0))


def without_tokens(tokenizer: Tokenizer, tokens: Iterable[str]) -> Tokenizer:
    """A tokenizer from before there were these tokens."""
    fields = json.loads(tokenizer.to_json())
    dropped = set(tokens)
    kept = [token for token in fields["model"]["vocab"] if token not in dropped]
    kept.sort(key=fields["model"]["vocab"].__getitem__)
    fields["model"]["vocab"] = {token: token_id for token_id, token in enumerate(kept)}
    fields["added_tokens"] = [
        each | {"id": fields["model"]["vocab"][each["content"]]}
        for each in fields["added_tokens"]
        if each["content"] not in dropped
    ]
    return Tokenizer(tokenizers.Tokenizer.from_str(json.dumps(fields)))
