import pytest

from models.networks.tagger import PAD_ID
from models.training.vocabulary.characters import UNK, train_characters
from models.training.vocabulary.subwords import PAD


def test_each_character_is_a_token_and_white_space_too() -> None:
    tokenizer = train_characters(["나는 간다", "나는 온다"], 50, lowercase=False)
    assert tokenizer.tokens(tokenizer.encode("나는 온다")) == ["나", "는", " ", "온", "다"]
    assert tokenizer.spans("는 다") == [(0, 1), (2, 2), (2, 3)]


def test_frequent_characters_are_kept_and_others_are_one_unk_each() -> None:
    tokenizer = train_characters(["aaaa", "bbb", "c"], 4, lowercase=False)
    assert tokenizer.vocab_size == 4
    assert tokenizer.tokens(tokenizer.encode("abcc")) == ["a", "b", UNK, UNK]


def test_padding_is_where_the_networks_expect_it() -> None:
    assert train_characters(["a"], 10, lowercase=False).token_id(PAD) == PAD_ID


def test_any_white_space_is_a_space_and_capitals_may_be_small() -> None:
    tokenizer = train_characters(["a b"], 10, lowercase=True)
    assert tokenizer.tokens(tokenizer.encode("A\tB\n")) == ["a", " ", "b", " "]


def test_decomposed_syllables_are_one_token() -> None:
    tokenizer = train_characters(["가나"], 10, lowercase=False)
    assert tokenizer.tokens(tokenizer.encode("\u1100\u1161나")) == ["가", "나"]


def test_vocabulary_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="must be above 2"):
        train_characters(["a"], 2, lowercase=False)
