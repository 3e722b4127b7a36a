"""Where log lines go and what they look like. Knows nothing of requests: fields come in `extra`."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

# What every record has; the rest came in `extra`.
STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


def configure_logging(level: str, log_format: Literal["text", "json"]) -> None:
    """Sends every logger, uvicorn's too, to stderr in one format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Its start and stop messages repeat ours.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, logging.root.level))
    # It warns of each malformed form, at a client's will, and traces its texts; we answer 422.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


def extra_fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


class TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        fields = "".join(f" {name}={value}" for name, value in extra_fields(record).items())
        return super().formatMessage(record) + fields


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
        return json.dumps(line, ensure_ascii=False, default=str)
