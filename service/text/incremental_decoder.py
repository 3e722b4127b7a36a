"""Token ids to text as they come, each decoded once.

tokenizers' own DecodeStream raises an error on byte tokens that are not UTF-8 in the end.
"""

import re
from collections.abc import Callable, Sequence

BROKEN = "\ufffd"
BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")


class IncrementalDecoder:
    """Decodes tokens since the last safe point; all it gives, put together, begins the decoding.

    A safe point is after a token from which on no later one can change the text before. Bytes are
    not safe: one that is wrong makes replacement characters of the whole run that it ends.

    Args:
        decode: text of token ids; one space at the start of a text may be dropped.
        spell: the spelling of each token id.
    """

    def __init__(
        self,
        decode: Callable[[list[int]], str],
        spell: Callable[[Sequence[int]], list[str]],
    ) -> None:
        self._decode, self._spell = decode, spell
        # The last safe token goes before the others, which thus keep their space.
        self._window: list[int] = []
        self._num_given = 0  # characters of the window

    def add(self, token_ids: Sequence[int]) -> str:
        """Takes further token ids; returns the text that has become certain, which may be empty."""
        parts = []
        for token_id, spelling in zip(token_ids, self._spell(token_ids), strict=True):
            self._window.append(token_id)
            if not BYTE_TOKEN.fullmatch(spelling):
                parts.append(self._settle(token_id))
        return "".join(parts)

    def _settle(self, token_id: int) -> str:
        """The text up to a token, if it is safe, and begins the next window with it."""
        alone = self._decode([token_id])
        if not alone:  # a special token or a space that may be dropped: both say nothing alone
            return ""
        text = self._decode(self._window)
        if text.endswith(BROKEN):  # byte-level tokens: the next one may complete the character
            return ""
        given = text[self._num_given :]
        self._window, self._num_given = [token_id], len(alone)
        return given
