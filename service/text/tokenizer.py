"""Converts text to token ids and back, with one implementation for training and serving.

Independent of models: the caller, which knows the task, adds eos and start tokens.
"""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import tokenizers
from tokenizers import normalizers

from service.errors import ArtefactError, InvalidInput
from service.text.word_encoder import WordEncoder, reads_words_apart

LONE_SURROGATE = "the text contains half of a surrogate pair; send complete pairs"
SOFT_HYPHEN = "\u00ad"  # where a word may be broken; no part of its spelling
WORD_START = "\u2581"  # in the spelling of a token: a space before the word


class Tokenizer:
    """A subword tokenizer read from a Hugging Face `tokenizer.json`.

    Text that spells a special token ("<eos>") is encoded as plain text, so a client cannot inject
    one.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        backend.no_padding()
        backend.no_truncation()
        backend.encode_special_tokens = True
        self._backend = backend
        self._words: WordEncoder | None = None

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Reads `tokenizer.json`.

        Raises:
            ArtefactError: the file is missing or is not a tokenizer.
        """
        try:
            return cls(tokenizers.Tokenizer.from_file(str(path)))
        except Exception as exc:  # tokenizers raises bare Exception for every fault
            raise ArtefactError(f"{path} cannot be read as a tokenizer: {exc}") from exc

    def ignore_layout(self, *, squeeze_spaces: bool) -> None:
        """Has texts read without what belongs to their layout, with spans still in the whole text.

        For a model that is served; `save` would write it into the file.

        Args:
            squeeze_spaces: read a run of white space as one space, and none around the text.
        """
        steps: list[normalizers.Normalizer] = [normalizers.Replace(SOFT_HYPHEN, "")]
        if squeeze_spaces:
            any_space = tokenizers.Regex(r"\s+")
            steps += [normalizers.Replace(any_space, " "), normalizers.Strip()]
            if reads_words_apart(self._backend):
                self._words = WordEncoder(self._backend)
        own = self._backend.normalizer
        self._backend.normalizer = normalizers.Sequence([*steps, own] if own else steps)

    def save(self, path: Path) -> None:
        self._backend.save(str(path), pretty=False)  # less than half the size

    def to_json(self) -> str:
        """What `save` writes."""
        return self._backend.to_str()

    @property
    def vocab_size(self) -> int:
        return self._backend.get_vocab_size()

    def has_word(self, word: str) -> bool:
        """Whether a word, as it stands in a text, is a single token; far faster than `encode`."""
        return self._backend.token_to_id(f"{WORD_START}{word}") is not None

    def encode(self, text: str) -> list[int]:
        """Encodes one text, including the ids that the file's post-processor adds, if it has one.

        Raises:
            InvalidInput: the text holds a lone surrogate, which has no UTF-8 form.
        """
        try:
            return self._words.encode(text) if self._words else self._backend.encode(text).ids
        except TypeError as exc:  # how tokenizers rejects a str without a UTF-8 form
            raise InvalidInput(LONE_SURROGATE) from exc

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Encodes each text as `encode` does."""
        if len(texts) == 1:  # a batch releases the GIL, and gets it back late under load
            return [self.encode(texts[0])]
        try:
            return [encoding.ids for encoding in self._backend.encode_batch_fast(list(texts))]
        except TypeError as exc:
            raise InvalidInput(LONE_SURROGATE) from exc

    def decode(self, token_ids: Sequence[int]) -> str:
        """Decodes ids to text without special tokens; broken byte sequences become U+FFFD."""
        return self._backend.decode(list(token_ids), skip_special_tokens=True)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Locates each token of `encode` in the text (start, end), without leading white space.

        Raises:
            InvalidInput: see `encode`.
        """
        try:
            offsets = self._backend.encode(text).offsets
        except TypeError as exc:
            raise InvalidInput(LONE_SURROGATE) from exc
        return [(end - len(text[start:end].lstrip()), end) for start, end in offsets]

    def ends(self, token_ids: Sequence[int]) -> list[int]:
        """Finds where each token ends in the text that `decode` returns; decodes word by word.

        A character spelt in several bytes belongs to the first one; the others are empty.
        """
        ends: list[int] = []
        window: list[int] = []
        base = 0
        for index, spelling in enumerate(self.tokens(token_ids)):
            if index and spelling.startswith(WORD_START):
                # decoded after the previous token, since a word loses its " " at the start of a
                # text
                window = [token_ids[index - 1]]
                base = ends[-1] - len(self.decode(window))
            window.append(token_ids[index])
            ends.append(base + len(self.decode(window)))
        # an incomplete character decodes to several U+FFFD until its last byte
        num_chars = len(self.decode(token_ids))
        return list(accumulate(reversed(ends), min, initial=num_chars))[:0:-1]

    def token_id(self, token: str) -> int:
        """Returns the id of a token by its exact spelling.

        Raises:
            ArtefactError: the vocabulary has no such token.
        """
        token_id = self._backend.token_to_id(token)
        if token_id is None:
            raise ArtefactError(f"the tokenizer has no token {token!r}")
        return token_id

    def tokens(self, token_ids: Sequence[int]) -> list[str]:
        """Returns the spelling of each id, for showing alignments."""
        return [self._backend.id_to_token(token_id) or "" for token_id in token_ids]
