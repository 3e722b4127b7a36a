"""The wait of requests that are about to be queued, before their texts are known."""

import math
from typing import Protocol

from service.engine.scheduling.admission import check_wait
from service.errors import Overloaded


class ForecastQueue(Protocol):
    """A queue as far as its waits go; see `WaitingQueue`."""

    @property
    def model_name(self) -> str: ...

    @property
    def num_waiting(self) -> int: ...

    def predict_wait(self, now: float) -> float: ...

    def limit_wait(self, now: float) -> float: ...

    def count_refusals(self, reason: str, num: int) -> None: ...


class Forecast:
    """How long the next requests for a model would wait; holds for one turn of the event loop.

    What is read within a turn is queued in the next one, so that the queue does not show it yet.
    Each request that is let in meanwhile counts here as much as the queued ones do on average.

    Args:
        queue: of the model.
        now: monotonic seconds.
    """

    def __init__(self, queue: ForecastQueue, now: float) -> None:
        self._queue = queue
        self.wait_seconds = queue.predict_wait(now)
        self._limit = queue.limit_wait(now)
        self._share = self.wait_seconds / max(1, queue.num_waiting)

    def admit(self, waited_seconds: float = 0.0, seconds_left: float = math.inf) -> None:
        """Lets a request in.

        Args:
            waited_seconds: that it has waited already; they count as if they were still to come.
            seconds_left: until its deadline.

        Raises:
            Overloaded: it would wait too long; this is counted.
        """
        if not self.wait_seconds:
            return
        name, wait = self._queue.model_name, self.wait_seconds
        try:
            check_wait(name, wait, self._limit, waited_seconds, seconds_left)
        except Overloaded as refusal:
            self._queue.count_refusals(refusal.reason, 1)
            raise
        self.wait_seconds += self._share

    def count_refusals(self, num: int) -> None:
        """Counts requests that were refused like an earlier one, because of the wait."""
        self._queue.count_refusals("wait", num)
