"""Round trip, byte fallback, and that no text can turn into a special token."""

import json
import random
import unicodedata
from pathlib import Path

import pytest

from service.errors import ArtefactError, InvalidInput
from service.text.tokenizer import Tokenizer

SPECIAL_IDS = {0, 1, 2, 3}
BLOCKS = [
    (0x20, 0x7E),  # ASCII
    (0xA0, 0x24F),  # Latin with accents
    (0x300, 0x36F),  # combining marks
    (0x370, 0x52F),  # Greek, Cyrillic
    (0x590, 0x6FF),  # Hebrew, Arabic
    (0x1100, 0x11FF),  # Korean letters, to be composed
    (0x2000, 0x206F),  # spaces, joiners, marks of direction
    (0x3130, 0x318F),  # Korean compatibility letters
    (0x4E00, 0x9FFF),  # Chinese characters
    (0xAC00, 0xD7A3),  # Korean syllables
    (0xFE00, 0xFFFD),  # forms, specials
    (0x1F300, 0x1FAFF),  # emoji
    (0x20000, 0x2A6DF),  # beyond the basic plane
]
CONTROLS = "\x00\t\n\r\x1b\x7f\x85\u2028\ufeff"


@pytest.fixture(scope="module")
def path(tiny_repository: Path) -> Path:
    return tiny_repository / "tiny-translation-lstm" / "1" / "tokenizer.json"


@pytest.fixture(scope="module")
def tokenizer(path: Path) -> Tokenizer:
    return Tokenizer.load(path)


def random_text(seed: int) -> str:
    rng = random.Random(seed)
    pieces = []
    for _ in range(rng.randint(1, 40)):
        first, last = rng.choice(BLOCKS)
        pieces.append(chr(rng.randint(first, last)))
        if rng.random() < 0.2:
            pieces.append(rng.choice([" ", "  ", *CONTROLS]))
    return "".join(piece for piece in pieces if unicodedata.category(piece[0]) not in ("Cn", "Cs"))


def expect_back(text: str) -> str:
    """What decoding gives: NFC, one leading space dropped, U+2581 read as a space."""
    return unicodedata.normalize("NFC", text).replace("\u2581", " ").removeprefix(" ")


@pytest.mark.parametrize("seed", range(200))
def test_random_unicode_survives_the_round_trip(tokenizer: Tokenizer, seed: int) -> None:
    text = random_text(seed)

    token_ids = tokenizer.encode(text)

    assert SPECIAL_IDS.isdisjoint(token_ids)
    assert tokenizer.decode(token_ids) == expect_back(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "   ",
        "  two leading spaces",
        "trailing space ",
        "두 칸  띄움",
        "ㅋㅋㅋ ㅠㅠ",
        "\u1112\u1161\u11ab",
        "e\u0301te\u0301",
        "👩‍👩‍👧‍👦 🇰🇷",
        "a\u2581b",
        "\x00",
        "don't 3.14 (x_y)",
        "<0x41>",
    ],
)
def test_awkward_text_survives_the_round_trip(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == expect_back(text)


def test_composed_and_decomposed_korean_are_the_same_text(tokenizer: Tokenizer) -> None:
    text = "안녕하세요"

    assert tokenizer.encode(unicodedata.normalize("NFD", text)) == tokenizer.encode(text)


@pytest.mark.parametrize("template", ["{}", " {} ", "a{}b", "{0}{0}", "{}\n"])
@pytest.mark.parametrize("token", ["<pad>", "<eos>", "<2en>", "<2ko>"])
def test_text_cannot_become_a_special_token(
    tokenizer: Tokenizer, token: str, template: str
) -> None:
    text = template.format(token)

    for token_ids in (tokenizer.encode(text), *tokenizer.encode_batch([text, "x"])):
        assert SPECIAL_IDS.isdisjoint(token_ids)
    assert tokenizer.decode(tokenizer.encode(text)) == expect_back(text)


def test_text_cannot_become_a_byte_token(tokenizer: Tokenizer) -> None:
    assert tokenizer.token_id("<0x41>") not in tokenizer.encode("<0x41>")


def test_batch_encodes_like_single_texts(tokenizer: Tokenizer) -> None:
    texts = ["", "I like it.", "나는 좋아해 " * 50, *(random_text(seed) for seed in range(20))]

    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]


def test_empty_batch_gives_no_ids(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode_batch([]) == []


def test_lone_surrogate_is_invalid_input(tokenizer: Tokenizer) -> None:
    with pytest.raises(InvalidInput, match="surrogate"):
        tokenizer.encode("a\ud800b")
    with pytest.raises(InvalidInput, match="surrogate"):
        tokenizer.encode_batch(["fine", "a\ud800b"])


def test_special_tokens_are_left_out_of_the_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("I like it.")

    assert tokenizer.decode([3, *ids, 1, 0, 0]) == "I like it."


def test_broken_bytes_become_replacement_characters(tokenizer: Tokenizer) -> None:
    half = [tokenizer.token_id("<0xEA>"), tokenizer.token_id("<0xB9>")]

    assert tokenizer.decode([*half, *tokenizer.encode("I like it.")]).strip("\ufffd") == (
        " I like it."
    )


def test_token_is_found_by_its_spelling(tokenizer: Tokenizer) -> None:
    assert tokenizer.tokens([tokenizer.token_id("<eos>"), 10**6]) == ["<eos>", ""]


def test_word_is_there_if_it_is_a_single_token(tokenizer: Tokenizer) -> None:
    pieces = tokenizer.tokens(range(tokenizer.vocab_size))
    words = [piece[1:] for piece in pieces if piece[:1] == "\u2581" and piece[1:].isalpha()]

    assert len(words) > 10
    for word in [*words, *(word + "q" for word in words), *(word.upper() for word in words)]:
        assert tokenizer.has_word(word) == (len(tokenizer.encode(word)) == 1), word


def test_missing_token_is_named(tokenizer: Tokenizer) -> None:
    with pytest.raises(ArtefactError, match="<2fr>"):
        tokenizer.token_id("<2fr>")


def test_saving_changes_nothing(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json")

    text = "나는 <eos> 좋아해 👍"
    assert again.encode(text) == tokenizer.encode(text)
    assert again.vocab_size == tokenizer.vocab_size


def test_padding_and_truncation_of_a_file_are_turned_off(path: Path, tmp_path: Path) -> None:
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields["truncation"] = {
        "direction": "Right",
        "max_length": 2,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    fields["padding"] = {
        "strategy": {"Fixed": 9},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "<pad>",
    }
    foreign = tmp_path / "tokenizer.json"
    foreign.write_text(json.dumps(fields), encoding="utf-8")

    text = "I like all of it."
    assert Tokenizer.load(foreign).encode(text) == Tokenizer.load(path).encode(text)


@pytest.mark.parametrize("content", [None, "", "{}", "not json", '{"model": {"type": "BPE"}}'])
def test_damaged_file_is_rejected_by_name(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")

    with pytest.raises(ArtefactError, match=r"tokenizer\.json cannot be read"):
        Tokenizer.load(path)


@pytest.mark.parametrize(
    "text", ["I like it.", "  I  like\u00a0it", "e\u0301te\u0301 👍 x", "나는 좋아해"]
)
def test_spans_are_the_words_that_tokens_came_from(tokenizer: Tokenizer, text: str) -> None:
    spans = tokenizer.spans(text)

    assert len(spans) == len(tokenizer.encode(text))
    assert spans == sorted(spans)
    covered = {index for start, end in spans for index in range(start, end)}
    visible = {index for index, char in enumerate(text) if not char.isspace()}
    assert {text[index] for index in visible - covered} <= {"\u0301"}
    assert not any(text[start : start + 1] == " " for start, end in spans if start < end)


def test_spans_of_a_lone_surrogate_are_rejected(tokenizer: Tokenizer) -> None:
    with pytest.raises(InvalidInput, match="surrogate"):
        tokenizer.spans("a\ud800b")


@pytest.mark.parametrize("seed", range(50))
def test_ends_follow_the_decoded_text(tokenizer: Tokenizer, seed: int) -> None:
    token_ids = tokenizer.encode(random_text(seed))
    whole = tokenizer.decode(token_ids)

    ends = tokenizer.ends(token_ids)

    assert (len(ends), ends[-1]) == (len(token_ids), len(whole))
    assert ends == sorted(ends)
    for count, end in enumerate(ends, start=1):
        beginning = tokenizer.decode(token_ids[:count])
        assert beginning.endswith("\ufffd") or whole[:end] == beginning


@pytest.mark.parametrize("seed", range(50))
def test_ends_of_broken_bytes_stay_within_the_text(tokenizer: Tokenizer, seed: int) -> None:
    rng = random.Random(seed)
    token_ids = [rng.randrange(tokenizer.vocab_size) for _ in range(rng.randint(1, 30))]

    ends = tokenizer.ends(token_ids)

    assert ends == sorted(ends)
    assert 0 <= ends[0] <= ends[-1] <= len(tokenizer.decode(token_ids))


def read_without_layout(path: Path, *, squeeze_spaces: bool) -> Tokenizer:
    tokenizer = Tokenizer.load(path)
    tokenizer.ignore_layout(squeeze_spaces=squeeze_spaces)
    return tokenizer


@pytest.mark.parametrize("squeeze_spaces", [True, False])
def test_soft_hyphens_are_not_read(tokenizer: Tokenizer, path: Path, squeeze_spaces: bool) -> None:
    served = read_without_layout(path, squeeze_spaces=squeeze_spaces)

    assert served.encode("two dogs are play\u00ading") == tokenizer.encode("two dogs are playing")
    assert served.encode("\u00ad") == []


@pytest.mark.parametrize(
    "text",
    [
        "two dogs" + "\n" * 60,
        " " * 3000 + "two dogs",
        "two \t\r\n dogs",
        "two\u00a0\u3000dogs\u2028",
        "two \u00ad dogs",
    ],
)
def test_white_space_is_one_space_between_words(
    tokenizer: Tokenizer, path: Path, text: str
) -> None:
    served = read_without_layout(path, squeeze_spaces=True)

    assert served.encode(text) == tokenizer.encode("two dogs")
    assert served.encode(" \n\t") == []


def test_translators_read_white_space_as_it_is(tokenizer: Tokenizer, path: Path) -> None:
    served = read_without_layout(path, squeeze_spaces=False)

    assert served.encode("two\n\ndogs ") == tokenizer.encode("two\n\ndogs ")


def test_spans_are_those_of_the_whole_text(path: Path) -> None:
    text = " \n two   do\u00adgs\n"
    served = read_without_layout(path, squeeze_spaces=True)

    spans = served.spans(text)

    assert len(spans) == len(served.encode(text))
    assert (spans[0][0], spans[-1][1]) == (text.index("two"), len(text) - 1)
    assert "".join(text[start:end] for start, end in spans).replace("\u00ad", "") == "twodogs"


def test_layout_is_left_out_where_the_file_normalizes_nothing(path: Path, tmp_path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8")) | {"normalizer": None}
    plain = tmp_path / "tokenizer.json"
    plain.write_text(json.dumps(content), encoding="utf-8")

    served = read_without_layout(plain, squeeze_spaces=True)

    assert served.encode(" two  dogs ") == Tokenizer.load(plain).encode("two dogs")
