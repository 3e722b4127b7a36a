import io
import logging
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType

import pytest

from service.telemetry.batched_logs import GATHER_SECONDS, batch_lines

NUM_LINES = 2000


class Drops:
    """Counts the lines that were dropped."""

    num = 0

    def __call__(self) -> None:
        self.num += 1


class CountedStream(io.StringIO):
    """Counts the writes to it."""

    num_writes = 0

    def write(self, text: str) -> int:
        self.num_writes += 1
        return super().write(text)


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger without handlers, which it gets back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers.clear()
    root.setLevel(logging.INFO)
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def add_stream(root: logging.Logger, stream: io.TextIOBase) -> None:
    root.addHandler(logging.StreamHandler(stream))


def test_lines_are_written_together_and_in_order(root: logging.Logger) -> None:
    stream, drops = CountedStream(), Drops()
    add_stream(root, stream)
    with batch_lines(NUM_LINES, drops):
        for index in range(NUM_LINES):
            root.info("line %d", index)

    assert stream.getvalue().splitlines() == [f"line {index}" for index in range(NUM_LINES)]
    assert stream.num_writes < NUM_LINES / 10
    assert drops.num == 0


def test_line_is_written_soon_while_nothing_ends(root: logging.Logger) -> None:
    stream = CountedStream()
    add_stream(root, stream)
    with batch_lines(NUM_LINES, Drops()):
        root.info("a line")
        deadline = time.monotonic() + 100 * GATHER_SECONDS
        while not stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert stream.getvalue() == "a line\n"


def test_lines_after_the_end_are_written_at_once(root: logging.Logger) -> None:
    stream = CountedStream()
    add_stream(root, stream)
    with batch_lines(NUM_LINES, Drops()):
        pass
    root.info("later")
    assert stream.getvalue() == "later\n"


def test_reader_that_stands_still_stops_nobody_and_learns_what_it_missed(
    root: logging.Logger,
) -> None:
    reading, writing = os.pipe()
    drops = Drops()
    max_lines, line = 50, "x" * 9000
    with os.fdopen(writing, "w") as stream:
        add_stream(root, stream)
        with batch_lines(max_lines, drops):
            for _ in range(4):  # fills the pipe, then the queue
                time.sleep(2 * GATHER_SECONDS)
                for _ in range(2 * max_lines):
                    root.info(line)
            num_dropped = drops.num
            written = drain(reading)
            root.info("the reader is back")
            written += drain(reading, until=b"is back")
    os.close(reading)

    lines = written.decode().splitlines()
    told = [text for text in lines if "log lines were dropped" in text]
    assert num_dropped > 0
    assert sum(int(text.split()[0]) for text in told) == num_dropped
    assert lines.count(line) + num_dropped == 8 * max_lines


def drain(reading: int, until: bytes = b"dropped") -> bytes:
    """Reads until a line holds these words."""
    found = b""
    while until not in found:
        found += os.read(reading, 1 << 16)
    return found


class FailingFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        if record.msg == "bad":
            raise ValueError("no such line")
        return super().format(record)


def test_error_of_a_line_leaves_the_others_to_be_written(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = CountedStream()
    add_stream(root, stream)
    root.handlers[-1].setFormatter(FailingFormatter())
    with batch_lines(NUM_LINES, Drops()):
        root.info("bad")
        root.info("good")
    assert stream.getvalue() == "good\n"
    assert "no such line" in capsys.readouterr().err


def test_signal_handler_may_log_while_a_line_is_logged(root: logging.Logger) -> None:
    stream = CountedStream()
    add_stream(root, stream)
    signals = 0

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal signals
        signals += 1
        root.info("from the handler")

    before = signal.signal(signal.SIGALRM, handler)
    with batch_lines(100 * NUM_LINES, Drops()):
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            for index in range(NUM_LINES):
                root.info("line %d", index)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    assert signals > 0
    assert len(stream.getvalue().splitlines()) == NUM_LINES + signals


def test_handlers_that_write_no_stream_are_left_alone(root: logging.Logger) -> None:
    handler = logging.NullHandler()
    root.addHandler(handler)
    kept = list(root.handlers)
    with batch_lines(NUM_LINES, Drops()):
        assert root.handlers == kept
