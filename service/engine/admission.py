"""Who is let into a queue: bounds in requests and tokens, and the wait that is to be expected.

Knows no asyncio and no clock; times are passed in.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.engine.batch import TokenSequence
from service.errors import InputTooLong, Overloaded

# The measured rate forgets what lies further back than about so long.
MEMORY_SECONDS = 2.0
# A longer time from batch to batch says that the process stood still (a suspended machine, a
# container without its share of the processor), not that the engine is slow.
MAX_GAP_SECONDS = 0.5
# Less than this has been seen of a queue under load: no prediction.
MIN_SECONDS_SEEN = 0.5


@dataclass(frozen=True)
class QueueLimits:
    """Bounds of a queue; what is above is refused at once.

    Attributes:
        max_wait_seconds: predicted wait of a request that is still let in.
    """

    max_sequences: int
    max_tokens: int
    max_wait_seconds: float = math.inf


class ServiceRate:
    """Tokens that leave a queue per second while others wait, with exponential forgetting.

    Only the time from a batch that leaves others waiting to the next batch tells how fast the
    engine is; all time makes what was seen before older.
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
            is_backlogged: whether others still wait.
        """
        elapsed = max(0.0, now - self._last)
        self._grow_old(elapsed)
        if self._is_backlogged:
            self._tokens += num_tokens
            self._seconds += min(elapsed, MAX_GAP_SECONDS)
        self._last, self._is_backlogged = now, is_backlogged

    def pause(self, now: float) -> None:
        """Notes that the queue has become empty without a batch: everybody hung up or expired."""
        if self._is_backlogged:
            self._last, self._is_backlogged = now, False

    def predict_seconds(self, num_tokens: int, now: float) -> float:
        """How long so many waiting tokens will take; 0 where too little is known of late."""
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
    """What waits in the queue of a model, and the wait that follows from it."""

    num_sequences: int
    num_tokens: int
    wait_seconds: float


def check_admission(
    model_name: str,
    sequences: Sequence[TokenSequence],
    state: QueueState,
    limits: QueueLimits,
    now: float,
) -> None:
    """Lets requests pass together or not at all.

    Raises:
        InputTooLong: together they are above the queue's limit, so waiting is no help.
        Overloaded: there is no room, or they would wait too long; retry when what waits is done.
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
    check_wait(model_name, state, limits)
    seconds_left = min((sequence.deadline for sequence in sequences), default=math.inf) - now
    if 0 < seconds_left < state.wait_seconds:
        raise Overloaded(
            f"the wait for model {model_name} is predicted to be {state.wait_seconds:.1f} s, and "
            f"the deadline is in {seconds_left:.1f} s; retry later or allow more time",
            state.wait_seconds,
            "deadline",
        )


def check_wait(model_name: str, state: QueueState, limits: QueueLimits) -> None:
    """Refuses when the queue is too slow for anybody.

    Raises:
        Overloaded: the predicted wait is above the limit.
    """
    if state.wait_seconds > limits.max_wait_seconds:
        raise Overloaded(
            f"the wait for model {model_name} is predicted to be {state.wait_seconds:.1f} s, above "
            f"the limit of {limits.max_wait_seconds:g} s; retry later",
            state.wait_seconds,
            "wait",
        )
