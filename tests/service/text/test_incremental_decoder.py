"""What comes in pieces is how decoding the whole begins, whatever the tokens are."""

import random
from collections.abc import Sequence

import pytest
import tokenizers
from tokenizers import decoders, models

from service.text.incremental_decoder import IncrementalDecoder
from service.text.tokenizer import Tokenizer

WORDS = ["▁", "▁▁", "▁the", "▁dog", "s", ".", "▁b", "ß", "한", "▁국", "<0x4", "�", "é", "🙂"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
SPECIAL = ["<pad>", "<eos>"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """The decoder that models.training.vocabulary.subwords gives its tokenizers."""
    vocabulary = [*SPECIAL, "<unk>", *BYTES, *WORDS]
    model = models.BPE(
        vocab={token: token_id for token_id, token in enumerate(vocabulary)},
        merges=[],
        unk_token="<unk>",
        byte_fallback=True,
    )
    backend = tokenizers.Tokenizer(model)
    backend.add_special_tokens(SPECIAL)
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1, right=0),
        ]
    )
    return Tokenizer(backend)


def decode_in_pieces(
    tokenizer: Tokenizer, token_ids: Sequence[int], rng: random.Random
) -> list[str]:
    decoder = IncrementalDecoder(tokenizer.decode, tokenizer.tokens)
    left, pieces = list(token_ids), []
    while left:
        size = rng.choice([1, 1, 1, 2, 5])
        pieces.append(decoder.add(left[:size]))
        left = left[size:]
    return pieces


def draw_tokens(tokenizer: Tokenizer, rng: random.Random) -> list[int]:
    """Words, bytes of whole and of broken characters, special tokens."""
    token_ids: list[int] = []
    for _ in range(rng.randint(0, 20)):
        kind = rng.random()
        if kind < 0.5:
            token_ids.append(tokenizer.token_id(rng.choice(WORDS)))
        elif kind < 0.7:
            encoded = rng.choice("aé한🙂").encode()
            token_ids += [tokenizer.token_id(BYTES[byte]) for byte in encoded]
        elif kind < 0.9:
            token_ids.append(tokenizer.token_id(rng.choice(BYTES)))
        else:
            token_ids.append(tokenizer.token_id(rng.choice(SPECIAL)))
    return token_ids


@pytest.mark.parametrize("seed", range(20))
def test_pieces_put_together_are_the_whole_text(tokenizer: Tokenizer, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        token_ids = [*draw_tokens(tokenizer, rng), tokenizer.token_id("▁dog")]

        pieces = decode_in_pieces(tokenizer, token_ids, rng)

        assert "".join(pieces) == tokenizer.decode(token_ids)


@pytest.mark.parametrize("seed", range(5))
def test_byte_level_tokens_are_put_together_too(seed: int) -> None:
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    model = models.BPE(vocab={char: index for index, char in enumerate(alphabet)}, merges=[])
    backend = tokenizers.Tokenizer(model)
    backend.decoder = decoders.ByteLevel()
    tokenizer, rng = Tokenizer(backend), random.Random(seed)
    for _ in range(100):
        token_ids = [rng.randrange(len(alphabet)) for _ in range(rng.randint(0, 20))]
        token_ids.append(tokenizer.token_id("a"))

        pieces = decode_in_pieces(tokenizer, token_ids, rng)

        assert "".join(pieces) == tokenizer.decode(token_ids)


def test_words_are_given_at_once(tokenizer: Tokenizer) -> None:
    decoder = IncrementalDecoder(tokenizer.decode, tokenizer.tokens)
    token_ids = [tokenizer.token_id(word) for word in ("▁the", "▁dog", "s", ".")]

    assert [decoder.add([token_id]) for token_id in token_ids] == ["the", " dog", "s", "."]


def test_bytes_are_held_back_until_their_run_ends(tokenizer: Tokenizer) -> None:
    decoder = IncrementalDecoder(tokenizer.decode, tokenizer.tokens)
    emoji = [tokenizer.token_id(BYTES[byte]) for byte in "🙂".encode()]

    assert decoder.add([tokenizer.token_id("▁the"), *emoji]) == "the"
    assert decoder.add([tokenizer.token_id("▁dog")]) == "🙂 dog"


def test_each_token_is_decoded_with_few_others(tokenizer: Tokenizer) -> None:
    sizes: list[int] = []

    def decode(token_ids: Sequence[int]) -> str:
        sizes.append(len(token_ids))
        return tokenizer.decode(token_ids)

    decoder = IncrementalDecoder(decode, tokenizer.tokens)
    for _ in range(256):
        decoder.add([tokenizer.token_id("▁dog")])

    assert max(sizes) == 2
