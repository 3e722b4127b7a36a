"""The policy: which waiting requests form the next batch. No asyncio, no I/O, no clock."""

from service.batch import Request


class Scheduler:
    """Fills batches by rows and by padded tokens, from neighbours of like length.

    The request with the earliest deadline leads each batch, so no length starves; those nearest to
    it in length fill the rest, so little is padded.

    Args:
        max_batch_size: rows in the engine at a time.
        max_batch_tokens: padded tokens of one batch.

    A single request above either bound still forms a batch of its own once the engine is empty:
    left in the queue, it would block all behind it for good.
    """

    def __init__(self, max_batch_size: int, max_batch_tokens: int) -> None:
        self.max_batch_size = max_batch_size
        self.max_batch_tokens = max_batch_tokens
        self._waiting: list[Request] = []
        self._waiting_tokens = 0

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    @property
    def waiting_tokens(self) -> int:
        return self._waiting_tokens

    def add(self, requests: list[Request]) -> None:
        self._waiting += requests
        self._waiting_tokens += sum(request.num_tokens for request in requests)

    def drop_dead(self, now: float) -> list[Request]:
        """Removes abandoned and expired requests; returns the expired, which want an answer."""
        dead = [
            request for request in self._waiting if request.is_abandoned or request.deadline <= now
        ]
        if dead:
            self._remove(set(dead))
        return [request for request in dead if not request.is_abandoned]

    def next_batch(self, free_rows: int) -> list[Request]:
        """Takes the next batch out of the queue; empty if nothing waits or fits `free_rows`."""
        if not self._waiting or free_rows <= 0:
            return []
        leader = min(self._waiting, key=lambda request: request.deadline)
        if leader.num_rows > free_rows and free_rows < self.max_batch_size:
            return []  # it is the most urgent: keep the rows free for it
        batch, rows, longest = [leader], leader.num_rows, leader.num_tokens
        for request in sorted(
            self._waiting, key=lambda request: abs(request.num_tokens - leader.num_tokens)
        ):
            if request is leader or rows + request.num_rows > free_rows:
                continue
            widest = max(longest, request.num_tokens)
            if widest * (len(batch) + 1) > self.max_batch_tokens:
                continue  # a shorter one may still fit
            batch.append(request)
            rows, longest = rows + request.num_rows, widest
        self._remove(set(batch))
        return batch

    def _remove(self, leaving: set[Request]) -> None:
        self._waiting = [request for request in self._waiting if request not in leaving]
        self._waiting_tokens -= sum(request.num_tokens for request in leaving)
