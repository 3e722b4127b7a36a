"""Text to token ids and back, with one implementation for training and serving.

Knows nothing of models: eos and the like are added by whoever knows the task.
"""

from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import tokenizers

from service.errors import ArtefactError, InvalidInput

LONE_SURROGATE = "a text holds half of a surrogate pair; send whole ones"
WORD_START = "\u2581"  # of a token's spelling: a space before the word


class Tokenizer:
    """A subword tokenizer read from a Hugging Face `tokenizer.json`.

    Text that happens to spell a special token ("<eos>") is encoded as plain text, so a client
    cannot inject one.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        backend.no_padding()
        backend.no_truncation()
        backend.encode_special_tokens = True
        self._backend = backend

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

    def save(self, path: Path) -> None:
        self._backend.save(str(path))

    def to_json(self) -> str:
        """What `save` writes."""
        return self._backend.to_str()

    @property
    def vocab_size(self) -> int:
        return self._backend.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """Token ids of one text, with those that the file's own post-processor adds, if it has one.

        Raises:
            InvalidInput: the text holds a lone surrogate, which has no UTF-8 form.
        """
        try:
            return self._backend.encode(text).ids
        except TypeError as exc:  # how tokenizers refuses a str that has no UTF-8 form
            raise InvalidInput(LONE_SURROGATE) from exc

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, as `encode` gives them."""
        if len(texts) == 1:  # a batch lets go of the interpreter, and gets it back late under load
            return [self.encode(texts[0])]
        try:
            return [encoding.ids for encoding in self._backend.encode_batch_fast(list(texts))]
        except TypeError as exc:
            raise InvalidInput(LONE_SURROGATE) from exc

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of the ids; special tokens are left out, broken byte sequences become U+FFFD."""
        return self._backend.decode(list(token_ids), skip_special_tokens=True)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each token of `encode` starts and ends in the text, without white space before it.

        Raises:
            InvalidInput: see `encode`.
        """
        try:
            offsets = self._backend.encode(text).offsets
        except TypeError as exc:
            raise InvalidInput(LONE_SURROGATE) from exc
        return [(end - len(text[start:end].lstrip()), end) for start, end in offsets]

    def ends(self, token_ids: Sequence[int]) -> list[int]:
        """Where each token ends in the text that `decode` gives; decodes word by word.

        The first byte of a character owns it, the others are empty.
        """
        ends: list[int] = []
        window: list[int] = []
        base = 0
        for index, spelling in enumerate(self.tokens(token_ids)):
            if index and spelling.startswith(WORD_START):
                # the token before shows how the word goes on: at the start of a text it loses " "
                window = [token_ids[index - 1]]
                base = ends[-1] - len(self.decode(window))
            window.append(token_ids[index])
            ends.append(base + len(self.decode(window)))
        # the first bytes of a character look like several broken ones until it is complete
        num_chars = len(self.decode(token_ids))
        return list(accumulate(reversed(ends), min, initial=num_chars))[:0:-1]

    def token_id(self, token: str) -> int:
        """Id of a token by its exact spelling.

        Raises:
            ArtefactError: the vocabulary has no such token.
        """
        token_id = self._backend.token_to_id(token)
        if token_id is None:
            raise ArtefactError(f"the tokenizer has no token {token!r}")
        return token_id

    def tokens(self, token_ids: Sequence[int]) -> list[str]:
        """Spelling of each id, for showing alignments."""
        return [self._backend.id_to_token(token_id) or "" for token_id in token_ids]
