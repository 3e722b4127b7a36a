import pytest

from models.training.vocabulary.subwords import read_vocabulary
from models.training.vocabulary.text_subwords import SPECIALS, train_text_tokenizer

TEXT = "To be, or not to be:\n\n  that is the question\tWhether 'tis nobler. " * 20


def test_characters_alone_keep_every_character() -> None:
    tokenizer = train_text_tokenizer(["hello"], 1, lowercase=False)
    assert list(read_vocabulary(tokenizer)) == [*SPECIALS, "e", "h", "l", "o"]
    assert tokenizer.encode("hello") == [5, 4, 6, 6, 7]


@pytest.mark.parametrize("vocab_size", [1, 60, 120])
def test_decoding_gives_the_text_back(vocab_size: int) -> None:
    tokenizer = train_text_tokenizer([TEXT], vocab_size, lowercase=False)
    for text in (TEXT, "", " ", "\n\n", " To  be\n", "be", "question:\tbe "):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_korean_is_kept_too() -> None:
    text = "이 영화 정말 재미있어요! ㅋㅋ 다시 보고 싶다."
    tokenizer = train_text_tokenizer([text] * 9, 60, lowercase=False)
    assert tokenizer.decode(tokenizer.encode(f"  {text}\n"[:-1])) == f"  {text}"


def test_subwords_fill_the_vocabulary() -> None:
    tokenizer = train_text_tokenizer([TEXT], 60, lowercase=False)
    assert tokenizer.vocab_size == 60
    assert len(tokenizer.encode(TEXT)) < len(TEXT) / 1.5


def test_line_breaks_are_no_part_of_a_longer_token() -> None:
    tokenizer = train_text_tokenizer([TEXT], 120, lowercase=False)
    assert [token for token in read_vocabulary(tokenizer) if "\n" in token] == ["\n"]


def test_unseen_character_is_one_unknown_token() -> None:
    tokenizer = train_text_tokenizer(["hello"], 1, lowercase=False)
    assert tokenizer.encode("hé!") == [5, 3, 3]


def test_text_that_spells_a_special_token_is_text() -> None:
    tokenizer = train_text_tokenizer(["<eos>"], 1, lowercase=False)
    assert 1 not in tokenizer.encode("<eos>")
    assert tokenizer.decode(tokenizer.encode("<eos>")) == "<eos>"
