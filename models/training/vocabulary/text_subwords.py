"""Vocabulary of a language model: characters, or subwords made of them, that keep a text exactly.

White space, line breaks and capitals are tokens like any other, and nothing is put before a text:
decoding what was encoded gives the text back. A character that training has not seen is `<unk>`.
"""

from collections import Counter
from collections.abc import Iterable

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from models.training.vocabulary.subwords import EOS, PAD, learn_pieces
from service.text.tokenizer import Tokenizer

BOS, UNK = "<bos>", "<unk>"
SPECIALS = [PAD, EOS, BOS, UNK]
# A subword is part of a word with the space before it, of a number, of a run of marks, or a single
# white space: frequent words are one token, and line breaks stay apart.
PIECES = r" ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s"
MIN_ALPHABET = 200


def train_text_tokenizer(texts: Iterable[str], vocab_size: int, *, lowercase: bool) -> Tokenizer:
    """Learns a vocabulary of `vocab_size` tokens: special tokens, characters, then merges (BPE).

    The alphabet is every character of the texts, but at most half of the vocabulary, or 200
    characters if that is more; a vocabulary with no room for merges is characters alone.

    Ids: pad 0, eos 1, bos 2, unk 3, then characters, then merges by frequency.
    """
    backend = _build_backend(models.BPE(unk_token=UNK), lowercase=lowercase)
    texts = [backend.normalizer.normalize_str(text) for text in texts]
    counts = Counter(character for text in texts for character in text)
    by_frequency = sorted(counts, key=lambda character: (-counts[character], character))
    alphabet = by_frequency[: max(MIN_ALPHABET, vocab_size // 2)]
    num_pieces = max(vocab_size - len(SPECIALS), len(alphabet))
    pieces, merges = learn_pieces(backend, texts, num_pieces, alphabet)
    vocab = {piece: index for index, piece in enumerate([*SPECIALS, *pieces])}
    model = models.BPE(vocab=vocab, merges=merges, unk_token=UNK)
    backend = _build_backend(model, lowercase=lowercase)
    backend.add_special_tokens(SPECIALS)
    return Tokenizer(backend)


def _build_backend(model: models.BPE, *, lowercase: bool) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(model)
    steps = [normalizers.NFC(), *([normalizers.Lowercase()] if lowercase else [])]
    backend.normalizer = normalizers.Sequence(steps)
    backend.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(PIECES), "isolated")
    backend.decoder = decoders.Fuse()
    return backend
