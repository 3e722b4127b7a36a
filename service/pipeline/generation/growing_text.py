"""A generated text as its tokens come: what is certain of it, and whether it is to stop."""

from collections.abc import Sequence

from service.text.incremental_decoder import IncrementalDecoder
from service.text.tokenizer import Tokenizer


class GrowingText:
    """Gives out text as soon as no later token can change it or take it back.

    What may become a stop string is held back, unless stop strings are kept: then the text ends
    behind it.

    Args:
        tokenizer: of the model.
        stop: the text ends with the first of these that is complete.
        keeps_stop: whether that is part of the text.

    Attributes:
        is_stopped: it has come to a stop string.
        given: characters given out.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = (), *, keeps_stop: bool) -> None:
        self.is_stopped = False
        self.given = 0
        self._tokenizer, self._stop, self._keeps_stop = tokenizer, stop, keeps_stop
        self._decoder = IncrementalDecoder(tokenizer.decode, tokenizer.tokens)
        self._reach = max(map(len, stop), default=1) - 1  # how far back a stop string may begin
        self._known = ""

    def add(self, token_id: int) -> str:
        """Takes the next token; returns the text that has become certain, which may be empty."""
        fresh = self._decoder.add([token_id])
        found = self._extend(fresh)
        return self._give(found if self.is_stopped else found - self._num_held())

    def finish(self, token_ids: Sequence[int]) -> str:
        """Takes the tokens of the whole text; returns what has not been given out of it."""
        if self.is_stopped:
            return ""
        return self._give(self._extend(self._tokenizer.decode(token_ids)[len(self._known) :]))

    @property
    def text(self) -> str:
        """All that has been given out."""
        return self._known[: self.given]

    def _extend(self, fresh: str) -> int:
        """Adds known text; returns where the text ends, as far as is known."""
        start = max(0, len(self._known) - self._reach)
        self._known += fresh
        places = [(self._known.find(stop, start), stop) for stop in self._stop]
        found = [(place + len(stop), place) for place, stop in places if place >= 0]
        if not found:
            return len(self._known)
        self.is_stopped = True
        behind, before = min(found)
        return behind if self._keeps_stop else before

    def _num_held(self) -> int:
        """Characters at the end of the known text with which a stop string may begin."""
        if self._keeps_stop:
            return 0
        return next(
            (
                length
                for length in range(min(self._reach, len(self._known)), 0, -1)
                if any(stop.startswith(self._known[-length:]) for stop in self._stop)
            ),
            0,
        )

    def _give(self, end: int) -> str:
        given, self.given = self.given, max(self.given, end)
        return self._known[given : self.given]
