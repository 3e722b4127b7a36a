"""Decides which sequences a queue admits: by their number, their tokens, and the predicted wait.

Independent of asyncio and of clocks; times are passed in.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.engine.batch import TokenSequence
from service.errors import InputTooLong, Overloaded

# Time constant of the measured rate: older observations are forgotten exponentially.
MEMORY_SECONDS = 2.0
# A longer gap between batches means that the process stood still (a suspended machine, a container
# without its share of the processor), not that the engine is slow.
MAX_GAP_SECONDS = 0.5
# A queue that has not been empty for longer is not a burst.
STANDING_SECONDS = 1.0
# No prediction before a queue has been observed under load for at least this long. Until then it
# grows without a limit: at three times the maximum by twice this time.
MIN_SECONDS_SEEN = 0.1


@dataclass(frozen=True)
class QueueLimits:
    """Bounds of a queue; sequences above a bound are refused at once.

    A burst may wait for longer than what comes on and on: a queue that is never empty makes all
    wait, and lets no more through than a short one ("controlled delay", Nichols and Jacobson, ACM
    Queue 10(5), 2012; with these two limits: Maurer, Fail at Scale, ACM Queue 13(8), 2015).

    Attributes:
        max_wait_seconds: the longest predicted wait with which a sequence is still admitted.
        max_standing_wait_seconds: the same for a queue that has not been empty for
            `STANDING_SECONDS`.
    """

    max_sequences: int
    max_tokens: int
    max_wait_seconds: float = math.inf
    max_standing_wait_seconds: float = math.inf

    def limit_wait(self, standing_seconds: float) -> float:
        """The longest predicted wait for a queue that was empty so long ago."""
        if standing_seconds < STANDING_SECONDS:
            return self.max_wait_seconds
        return min(self.max_wait_seconds, self.max_standing_wait_seconds)


class ServiceRate:
    """Tokens per second that leave a queue while it is backlogged, with exponential forgetting.

    Only the time between a batch that leaves sequences queued and the next batch shows how fast the
    engine is; older observations lose weight with all time that passes.
    """

    def __init__(self) -> None:
        self._tokens, self._seconds = 0.0, 0.0
        self._last = 0.0
        self._is_backlogged = False

    def observe(self, num_tokens: int, now: float, *, is_backlogged: bool) -> None:
        """Notes a batch that left the queue.

        Args:
            num_tokens: of the batch, without padding.
            now: monotonic seconds.
            is_backlogged: whether sequences are still queued.
        """
        elapsed = max(0.0, now - self._last)
        self._grow_old(elapsed)
        if self._is_backlogged:
            self._tokens += num_tokens
            self._seconds += min(elapsed, MAX_GAP_SECONDS)
        self._last, self._is_backlogged = now, is_backlogged

    def pause(self, now: float) -> None:
        """Notes that the queue emptied without a batch: all clients hung up or expired."""
        if self._is_backlogged:
            self._last, self._is_backlogged = now, False

    def predict_seconds(self, num_tokens: int, now: float) -> float:
        """Seconds until `num_tokens` queued tokens are done; 0 if too little is known."""
        age = 0.0 if self._is_backlogged else max(0.0, now - self._last)
        if self._seconds * math.exp(-age / MEMORY_SECONDS) < MIN_SECONDS_SEEN or not self._tokens:
            return 0.0
        return num_tokens * self._seconds / self._tokens

    def _grow_old(self, elapsed: float) -> None:
        keep = math.exp(-elapsed / MEMORY_SECONDS)
        self._tokens *= keep
        self._seconds *= keep


@dataclass(frozen=True)
class QueueState:
    """How much is queued for a model, and the wait predicted from it.

    Attributes:
        standing_seconds: since the queue was empty.
    """

    num_sequences: int
    num_tokens: int
    wait_seconds: float
    standing_seconds: float = 0.0


def check_admission(
    model_name: str,
    sequences: Sequence[TokenSequence],
    state: QueueState,
    limits: QueueLimits,
    now: float,
) -> None:
    """Admits sequences together or not at all.

    Raises:
        InputTooLong: together they are above the queue's limit, so that waiting does not help.
        Overloaded: the queue has no room, or they would wait too long.
    """
    num_tokens = sum(sequence.num_tokens for sequence in sequences)
    for unit, given, waiting, limit in (
        ("requests", len(sequences), state.num_sequences, limits.max_sequences),
        ("tokens", num_tokens, state.num_tokens, limits.max_tokens),
    ):
        if given > limit:
            raise InputTooLong(
                f"{given} {unit} at once are above the limit of {limit} for the queue of model "
                f"{model_name}; send less at a time"
            )
        if waiting + given > limit:
            raise Overloaded(
                f"the queue of model {model_name} holds {waiting} {unit}, and {given} more are "
                f"above the limit of {limit}; retry later or send less at a time",
                state.wait_seconds,
                unit,
            )
    seconds_left = min((sequence.deadline for sequence in sequences), default=math.inf) - now
    max_wait_seconds = limits.limit_wait(state.standing_seconds)
    check_wait(model_name, state.wait_seconds, max_wait_seconds, seconds_left=seconds_left)


def check_wait(
    model_name: str,
    wait_seconds: float,
    limit_seconds: float,
    waited_seconds: float = 0.0,
    seconds_left: float = math.inf,
) -> None:
    """Refuses what would wait for too long.

    Args:
        model_name: for messages.
        wait_seconds: predicted.
        limit_seconds: the longest that is admitted.
        waited_seconds: that the request has waited already, before anything of it was read.
        seconds_left: until its deadline; a deadline that has passed is not a matter of the queue.

    Raises:
        Overloaded: both waits together are above the limit, or the predicted one is longer than
            the deadline allows.
    """
    total = waited_seconds + wait_seconds
    if total > limit_seconds:
        raise Overloaded(
            f"the wait for model {model_name} is predicted to be {total:.1f} s, above "
            f"the limit of {limit_seconds:g} s; retry later",
            wait_seconds,
            "wait" if wait_seconds > limit_seconds else "age",
        )
    if 0 < seconds_left < wait_seconds:
        raise Overloaded(
            f"the wait for model {model_name} is predicted to be {wait_seconds:.1f} s, and "
            f"the deadline is in {seconds_left:.1f} s; retry later or allow more time",
            wait_seconds,
            "deadline",
        )
