"""Learns a vocabulary of characters, one token each; white space is kept."""

from collections import Counter
from collections.abc import Iterable

import tokenizers
from tokenizers import decoders, models, normalizers

from models.training.vocabulary.subwords import PAD
from service.text.tokenizer import Tokenizer

UNK = "<unk>"


def train_characters(texts: Iterable[str], vocab_size: int, lowercase: bool) -> Tokenizer:
    """Takes the most frequent characters of the texts, at most `vocab_size` with the special ones.

    Ids: pad 0, unk 1, then characters by frequency. Any white space is read as a space, and a
    character outside the vocabulary as one unk.

    Raises:
        ValueError: `vocab_size` leaves no room for characters.
    """
    specials = [PAD, UNK]
    if vocab_size <= len(specials):
        raise ValueError(f"vocab_size is {vocab_size}; it must be above {len(specials)}")
    normalizer = build_normalizer(lowercase)
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(normalizer.normalize_str(text))
    characters = sorted(counts, key=lambda character: (-counts[character], character))
    pieces = [*specials, *characters[: vocab_size - len(specials)]]
    vocab = {piece: index for index, piece in enumerate(pieces)}
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token=UNK))
    backend.normalizer = normalizer
    backend.decoder = decoders.Fuse()
    backend.add_special_tokens(specials)
    return Tokenizer(backend)


def build_normalizer(lowercase: bool) -> normalizers.Normalizer:
    steps = [normalizers.NFC(), normalizers.Replace(tokenizers.Regex(r"\s"), " ")]
    return normalizers.Sequence([*steps, *([normalizers.Lowercase()] if lowercase else [])])
