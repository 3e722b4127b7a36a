"""Where log lines go and what they look like. Knows nothing of requests: fields come in `extra`."""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

# What every record has; the rest came in `extra`.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}

JSON_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)  # `dumps` would make one per line


def configure_logging(level: str, log_format: Literal["text", "json"]) -> None:
    """Sends every logger, uvicorn's too, to stderr in one format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Its start and stop messages repeat ours.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.root.level))
    # It warns of each malformed form, at a client's will, and traces its texts; we answer 422.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    # No line shows the place in the code: to find it would take a third of the time of a record.
    logging._srcfile = None  # as Python's documentation advises
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def extra_fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


class TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        return f"{format_second(int(record.created))},{int(record.msecs):03d}"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        fields = "".join(f" {name}={value}" for name, value in extra_fields(record).items())
        return super().formatMessage(record) + fields


@lru_cache(maxsize=2)
def format_second(seconds: int) -> str:
    """A time since the epoch as local time: busy servers write many lines in a second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **extra_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return JSON_ENCODER.encode(line)
