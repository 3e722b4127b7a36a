"""How long the supervisor waits before it starts another worker, and when it gives up."""

MAX_DELAY_SECONDS = 30.0
# A worker that has lived this long did not end because of how it started.
STABLE_SECONDS = 30.0


class BootBackoff:
    """Counts workers that ended early, and boots that failed, of one server.

    The delay doubles with each worker in a row that ended early, from 1 s to `MAX_DELAY_SECONDS`;
    there is none after a worker that had lived for `STABLE_SECONDS`. A boot has failed if the
    worker ended before it was ready.

    Args:
        max_failed_boots: failed boots in a row after which to give up.
    """

    def __init__(self, max_failed_boots: int) -> None:
        self._max_failed_boots = max_failed_boots
        self._num_early_ends = 0
        self.num_failed_boots = 0

    @property
    def is_exhausted(self) -> bool:
        return self.num_failed_boots >= self._max_failed_boots

    @property
    def delay_seconds(self) -> float:
        """Time to wait before the next start."""
        if self._num_early_ends == 0:
            return 0.0
        # The exponent is bounded: a worker may end early any number of times.
        doublings = min(self._num_early_ends - 1, 10)
        return min(2.0**doublings, MAX_DELAY_SECONDS)

    def record_ready(self) -> None:
        self.num_failed_boots = 0

    def record_end(self, lived_seconds: float, was_ready: bool) -> None:
        if not was_ready:
            self.num_failed_boots += 1
        is_early = not was_ready or lived_seconds < STABLE_SECONDS
        self._num_early_ends = self._num_early_ends + 1 if is_early else 0
