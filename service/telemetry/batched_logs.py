"""Log lines off the hot path: records are queued, a thread formats and writes them in batches.

A request pays for its record alone, and a server whose log is read too slowly drops lines instead
of standing still.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TextIO

# How long a line waits for others. A process that is killed loses the lines of this time.
GATHER_SECONDS = 0.1
# At the end, for a reader that takes its time.
CLOSE_SECONDS = 5.0


class BatchingHandler(logging.Handler):
    """Queues records for a thread that writes them, in their order, to the stream of another one.

    Args:
        target: formats the lines; nothing else may write to it until this one is closed.
        max_lines: in the queue; what comes on top is dropped.
        count_dropped: called with each line that is dropped.
    """

    def __init__(
        self,
        target: "logging.StreamHandler[TextIO]",
        max_lines: int,
        count_dropped: Callable[[], None],
    ) -> None:
        super().__init__(target.level)
        self._target, self._max_lines, self._count_dropped = target, max_lines, count_dropped
        # A signal handler may log while its thread is just doing so: this queue allows it.
        self._queue: SimpleQueue[logging.LogRecord | None] = SimpleQueue()
        self._num_dropped = self._num_told = 0
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        if self._queue.qsize() < self._max_lines:
            self._queue.put(record)
        else:
            self._num_dropped += 1
            self._count_dropped()

    def close(self) -> None:
        """Writes what is queued; gives up on a reader that is stuck."""
        self._queue.put(None)
        self._thread.join(CLOSE_SECONDS)
        super().close()

    def _run(self) -> None:
        is_open = True
        while is_open:
            records = [self._queue.get()]
            if records[0] is not None:
                time.sleep(GATHER_SECONDS)
            while not self._queue.empty():
                records.append(self._queue.get())
            is_open = records[-1] is not None
            self._write([record for record in records if record is not None])

    def _write(self, records: list[logging.LogRecord]) -> None:
        num_dropped, self._num_told = self._num_dropped - self._num_told, self._num_dropped
        if num_dropped:
            records.append(describe_dropped(num_dropped))
        lines = [line for record in records if (line := self._format(record)) is not None]
        try:
            self._target.stream.write("".join(lines))
            self._target.flush()
        except (OSError, ValueError):  # its reader has gone, or it is closed
            self._num_dropped += len(lines)

    def _format(self, record: logging.LogRecord) -> str | None:
        try:
            return f"{self._target.format(record)}\n"
        except Exception:  # as all handlers do: says on stderr what is wrong with the line
            self.handleError(record)
            return None


def describe_dropped(num_lines: int) -> logging.LogRecord:
    """A line that stands for those that are missing."""
    return logging.LogRecord(
        __name__,
        logging.WARNING,
        __file__,
        0,
        "%d log lines were dropped: they are read too slowly, or SEQSERVE_MAX_LOG_LINES is too low",
        (num_lines,),
        None,
    )


@contextmanager
def batch_lines(max_lines: int, count_dropped: Callable[[], None]) -> Iterator[None]:
    """Batches the lines of this process's streams; in the end all of them are written.

    Starts threads, so a process that forks must not use it. Arguments as of `BatchingHandler`.
    """
    root = logging.getLogger()
    kept = list(root.handlers)
    batching = {
        handler: BatchingHandler(handler, max_lines, count_dropped)
        for handler in kept
        if type(handler) is logging.StreamHandler
    }
    root.handlers[:] = [batching.get(handler, handler) for handler in kept]  # type: ignore[call-overload]
    try:
        yield
    finally:
        root.handlers[:] = kept
        for handler in batching.values():
            handler.close()
