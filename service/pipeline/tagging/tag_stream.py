"""A text that is labelled as it comes in: pieces in, labels out, its state from piece to piece."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from service.answers import Entity
from service.arrays import FloatArray
from service.engine.batch import StreamState, TokenSequence
from service.pipeline.submission import ModelBatch, Submission
from service.pipeline.tagging.entities import label_pieces
from service.pipeline.tagging.pieces import Piece, locate_tokens, make_pieces, render_text
from service.repository.registry import ServedModel
from service.telemetry.metrics import ModelMetrics
from service.text.tags import OUTSIDE, SPACE


@dataclass(frozen=True)
class StreamedLabels:
    """What has become known of a text.

    Attributes:
        entities: tokens whose label has become known and is not "O", in characters of the text.
        end: characters of the text whose labels are known.
        is_final: the text has ended, and all its labels are known.
        rendered: of a text that has ended, if the labels say where a white space belongs.
    """

    entities: list[Entity]
    end: int
    is_final: bool = False
    rendered: str | None = None


class TagStream:
    """One text that comes in piece by piece, and after its end the next one.

    Between two pieces it is the states of its layers and the text itself; the engine keeps nothing
    of it.

    Args:
        served: a tagger of text as it comes in.
        timeout_seconds: that a piece may take.
        max_chars: of the text.
        metrics: of the model.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        served: ServedModel,
        timeout_seconds: float,
        max_chars: int,
        metrics: ModelMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        lookahead = served.manifest.lookahead
        assert lookahead is not None, "the registry gives taggers of text as it comes in"
        self._served, self._lookahead = served, lookahead
        self._timeout_seconds, self._clock = timeout_seconds, clock
        self.max_chars, self._metrics = max_chars, metrics
        self._begin()

    @property
    def num_chars(self) -> int:
        """Characters of the text so far."""
        return len(self._text)

    async def read(self, text: str) -> StreamedLabels:
        """Labels what can be labelled once the text goes on with this.

        Raises:
            InvalidInput, Overloaded, DeadlineExceeded, InferenceFailed, ModelNotReady: the stream
                is then of no use any more.
        """
        start = len(self._text)
        self._text += text
        spans = locate_tokens(self._served.model, text)
        self._spans += [(start + first, start + last) for first, last in spans]
        (input_ids,) = self._served.model.encode([text])
        return self._take(await self._step(input_ids))

    async def finish(self) -> StreamedLabels:
        """Labels the rest of a text that has ended, and begins the next one.

        Raises:
            As `read`.
        """
        padding = [self._served.manifest.ids.pad_id] * (self._lookahead if self._spans else 0)
        labels = self._take(await self._step(padding))
        rendered = None
        if SPACE in self._served.manifest.labels:
            rendered = render_text(self._text, self._pieces, self._served.manifest.labels)
        ended = StreamedLabels(labels.entities, len(self._text), True, rendered)
        self._begin()
        return ended

    def _begin(self) -> None:
        self._text = ""
        self._state = StreamState()
        self._spans: list[tuple[int, int]] = []  # of the tokens read so far
        self._pieces: list[Piece] = []  # of those whose labels are known
        self._num_read = self._num_known = 0

    async def _step(self, input_ids: Sequence[int]) -> FloatArray:
        """The label scores (T, C) that the steps over these tokens give."""
        if not input_ids:
            return np.empty((0, len(self._served.manifest.labels)), np.float32)
        now = self._clock()
        deadline = now + self._timeout_seconds
        sequence = TokenSequence(list(input_ids), now, deadline, stream=self._state)
        with Submission(
            [ModelBatch(self._served, [sequence])], deadline, self._clock
        ) as submission:
            result = (await submission.results())[sequence]
        assert isinstance(result, np.ndarray), "a tagger answers with arrays"
        self._metrics.tokens_total["input"].inc(len(input_ids))
        return result

    def _take(self, scores: FloatArray) -> StreamedLabels:
        """Gives each step's scores to the token `lookahead` steps before it."""
        early = max(0, self._lookahead - self._num_read)  # steps before the first label
        self._num_read += len(scores)
        scores = scores[early:]
        spans = self._spans[self._num_known : self._num_known + len(scores)]
        self._num_known += len(scores)
        pieces = make_pieces(self._served.model, spans, scores)
        self._pieces += pieces
        labels = self._served.manifest.labels
        entities = label_pieces(self._text, pieces, labels)
        end = self._spans[self._num_known - 1][1] if self._num_known else 0
        return StreamedLabels([each for each in entities if each.label != OUTSIDE], end)


class Pace:
    """Holds a client to a number of characters per second, after a first second's worth.

    Args:
        chars_per_second: on average.
        clock: monotonic seconds.
    """

    def __init__(self, chars_per_second: float, clock: Callable[[], float]) -> None:
        self._chars_per_second, self._clock = chars_per_second, clock
        self._paid_until = -math.inf

    def spend(self, num_chars: int) -> float:
        """Notes characters that came in, and returns the seconds to wait before the next ones."""
        now = self._clock()
        self._paid_until = max(self._paid_until, now) + num_chars / self._chars_per_second
        return max(0.0, self._paid_until - now - 1.0)
