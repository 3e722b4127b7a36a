"""The wait of requests that are about to be queued, before their texts are known."""

import math

from service.engine.waiting_queue import WaitingQueue


class Forecast:
    """How long the next requests for a model would wait; holds for one turn of the event loop.

    What is read within a turn is queued in the next one, so that the queue does not show it yet.
    Each request that is let in meanwhile counts here as much as the queued ones do on average.

    Args:
        queue: of the model.
        now: monotonic seconds.
    """

    def __init__(self, queue: WaitingQueue, now: float) -> None:
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
        if self.wait_seconds:
            self._queue.check_wait(self.wait_seconds, self._limit, waited_seconds, seconds_left)
            self.wait_seconds += self._share

    def count_refusals(self, num: int) -> None:
        """Counts requests that were refused like an earlier one, because of the wait."""
        self._queue.count_refusals("wait", num)
