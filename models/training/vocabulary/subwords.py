"""Learns the subword vocabulary: BPE over sentencepiece-like words.

Each byte has a token, as a fallback.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import tokenizers
import torch
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from service.text.levels.speech_level import LEVELS
from service.text.masking.masks import ALL_MASKS
from service.text.tokenizer import Tokenizer

PAD, EOS = "<pad>", "<eos>"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
SPACE = "\u2581"
LEVEL_TOKEN = re.compile(r"<2(\w+):\w+>")


def start_token(language: str, level: str | None = None) -> str:
    """Returns the special token that starts a translation into a language, at a speech level."""
    return f"<2{language}:{level}>" if level else f"<2{language}>"


def start_tokens(languages: Iterable[str]) -> list[str]:
    """All special tokens that start a translation into one of the languages."""
    return [
        start_token(language, level)
        for language in languages
        for level in (None, *LEVELS.get(language, ()))
    ]


def train_tokenizer(
    texts: Iterable[str], vocab_size: int, languages: Iterable[str], lowercase: bool
) -> Tokenizer:
    """Learns a vocabulary of `vocab_size` tokens, or fewer if the text is too small.

    A very small vocabulary may turn out larger, since its alphabet may have 200 characters.

    Ids: pad 0, eos 1, a start token per language and one for each of its speech levels, 256 bytes,
    the masks of placeables, then characters and merges by frequency. A character outside the learnt
    alphabet is spelt in bytes, so no input is unknown.
    "▁" (U+2581) stands for the space; a "▁" in the text is decoded as a space.

    Raises:
        ValueError: `vocab_size` leaves no room after the special tokens and the bytes.
    """
    specials = [PAD, EOS, *start_tokens(languages)]
    reserved = len(specials) + len(BYTES) + len(ALL_MASKS)
    if vocab_size <= reserved:
        raise ValueError(f"vocab_size is {vocab_size}; it must be above {reserved}")
    backend = _build_backend(models.BPE(), lowercase)
    texts = list(texts)
    alphabet = _choose_alphabet(backend, texts, max(200, vocab_size // 4))
    pieces, merges = learn_pieces(backend, texts, vocab_size - reserved, alphabet)
    pieces = [piece for piece in pieces if piece not in ALL_MASKS]
    vocab = {piece: index for index, piece in enumerate([*specials, *BYTES, *ALL_MASKS, *pieces])}
    backend = _build_backend(models.BPE(vocab=vocab, merges=merges, byte_fallback=True), lowercase)
    backend.add_special_tokens(specials)
    return Tokenizer(backend)


def learn_pieces(
    backend: tokenizers.Tokenizer, texts: Iterable[str], num_pieces: int, alphabet: Sequence[str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """Learns byte-pair merges; returns the pieces in the order of their ids, and the merges."""
    trainer = trainers.BpeTrainer(
        vocab_size=num_pieces,
        min_frequency=2,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    learnt = json.loads(backend.to_str())["model"]
    pieces = sorted(learnt["vocab"], key=learnt["vocab"].__getitem__)
    return pieces, [(first, second) for first, second in learnt["merges"]]


def drop_merges(tokenizer: Tokenizer, rate: float) -> Tokenizer:
    """Returns a tokenizer that skips each merge with this probability, drawn at every call.

    BPE dropout (Provilkov et al. 2020): the model sees a word in several segmentations. The
    generator of the tokenizers library cannot be seeded.
    """
    backend = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    backend.model.dropout = rate
    return Tokenizer(backend)


def transfer_rows(rows: Tensor, old: Tokenizer, new: Tokenizer) -> Tensor:
    """Rows of a weight, one per token of the old vocabulary, for a new one.

    A token of both keeps its row; another one gets the mean of the rows of the old tokens that
    spell it (Gee et al. 2022, fast vocabulary transfer).

    Args:
        rows: (V_old, ...) float32.
        old: the tokenizer that the rows belong to.
        new: the tokenizer that rows are wanted for.

    Returns:
        (V_new, ...) float32.
    """
    old_ids = read_vocabulary(old)
    pieces = sorted(read_vocabulary(new).items(), key=lambda item: item[1])
    transferred = []
    for piece, _ in pieces:
        token_id = old_ids.get(piece)
        spelled = [token_id] if token_id is not None else spell_piece(piece, old, old_ids)
        transferred.append(rows[spelled].mean(dim=0) if spelled else rows.mean(dim=0))
    return torch.stack(transferred)


def read_vocabulary(tokenizer: Tokenizer) -> dict[str, int]:
    """Ids by piece, special tokens included."""
    vocabulary: dict[str, int] = json.loads(tokenizer.to_json())["model"]["vocab"]
    return vocabulary


def spell_piece(piece: str, tokenizer: Tokenizer, vocabulary: dict[str, int]) -> list[int]:
    """The tokens of a piece that the vocabulary does not have as one."""
    token_ids = tokenizer.encode(piece.replace(SPACE, " "))
    language = LEVEL_TOKEN.fullmatch(piece)
    if language and (start := vocabulary.get(start_token(language[1]))) is not None:
        return [start]
    begins_word = piece.startswith(SPACE)
    # the tokenizer puts a space before every text
    if not begins_word and len(token_ids) > 1 and token_ids[0] == vocabulary.get(SPACE):
        return token_ids[1:]
    return token_ids


def _choose_alphabet(
    backend: tokenizers.Tokenizer, texts: Sequence[str], max_characters: int
) -> list[str]:
    """Returns the most frequent characters of the normalized texts.

    BpeTrainer's own `limit_alphabet` breaks ties by the order of a hash map, which differs between
    runs despite any seed.
    """
    counts = Counter({"▁": len(texts)})  # one before each text
    for text in texts:
        counts.update(backend.normalizer.normalize_str(text).replace(" ", "▁"))
    return sorted(counts, key=lambda character: (-counts[character], character))[:max_characters]


def _build_backend(model: models.BPE, lowercase: bool) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(model)
    # NFC, not NFKC: compatibility forms would turn the Korean laugh "ㅋㅋ" into other letters
    steps = [normalizers.NFC(), *([normalizers.Lowercase()] if lowercase else [])]
    backend.normalizer = normalizers.Sequence(steps)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(),
            pre_tokenizers.Split(tokenizers.Regex(f"[{ALL_MASKS}]"), "isolated"),
            pre_tokenizers.Punctuation("isolated"),
            pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return backend
