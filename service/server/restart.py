"""Replaces workers one by one, each before it is told to stop."""

import logging
from collections.abc import Callable, Iterable

from service.server.worker import WorkerProcess

logger = logging.getLogger(__name__)

# Starts a worker; None if there is no room for one, or no engine, at the moment.
StartWorker = Callable[[], WorkerProcess | None]


class RollingRestart:
    """The order of a restart: a replacement is started, gets ready, and only then one is retired.

    So the server has never fewer workers than before, and one that cannot start (its models are
    broken, say) ends the restart and leaves the others as they are.

    Args:
        on_begin: called when a restart begins.
    """

    def __init__(self, on_begin: Callable[[], None] = lambda: None) -> None:
        self._on_begin = on_begin
        self._is_requested = False
        self._waiting: list[WorkerProcess] = []
        self._replacement: WorkerProcess | None = None

    def request(self) -> None:
        """Asks for a restart, of which the next `advance` takes notice; safe in a signal handler.

        During a restart this asks for another one after it: workers that are already replaced may
        have read what is older than the request.
        """
        self._is_requested = True

    def advance(self, workers: Iterable[WorkerProcess], start_worker: StartWorker) -> None:
        """Takes the next step, if it can be taken; called once per tick."""
        current = [worker for worker in workers if not worker.is_retiring]
        is_idle = not self._waiting and self._replacement is None
        if self._is_requested and is_idle and any(worker.is_ready for worker in current):
            self._is_requested = False
            self._waiting = current
            logger.info("SIGHUP: %d workers are replaced one by one", len(current))
            self._on_begin()
        self._waiting = [worker for worker in self._waiting if worker in current]
        if self._replacement is None:
            self._replacement = start_worker() if self._waiting else None
        elif self._replacement.is_ready:
            self._retire_next(self._replacement)

    def abort(self, worker: WorkerProcess, code: int) -> bool:
        """Ends the restart if the worker that ended was the replacement; tells whether it was."""
        if worker is not self._replacement:
            return False
        self.cancel("replacement", code)
        return True

    def cancel(self, what: str, code: int) -> None:
        """Ends the restart because of a process that ended before it was ready."""
        self._replacement = None
        logger.error(
            "the %s ended with code %d before it was ready; "
            "the restart is off, %d workers stay as they are",
            *(what, code, len(self._waiting)),
        )
        self._waiting = []

    def _retire_next(self, replacement: WorkerProcess) -> None:
        self._replacement = None
        if not self._waiting:  # the one to be replaced has ended by itself
            return
        retiring = self._waiting.pop(0)
        logger.info("worker %d takes over from worker %d", replacement.place, retiring.place)
        retiring.retire()
