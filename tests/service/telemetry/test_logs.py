import json
import logging
from typing import Any

import pytest

from service.telemetry.logs import JsonFormatter, TextFormatter, configure_logging


def make_record(**extra: Any) -> logging.LogRecord:
    record = logging.LogRecord("seqserve", logging.INFO, "file", 1, "hello %s", ("you",), None)
    vars(record).update(extra)
    return record


def test_json_lines_carry_the_extra_fields() -> None:
    line = json.loads(JsonFormatter().format(make_record(status=200)))
    assert (line["message"], line["level"], line["status"]) == ("hello you", "info", 200)


def test_json_lines_carry_the_exception() -> None:
    record = make_record()
    record.exc_info = (ValueError, ValueError("x"), None)
    assert "ValueError: x" in json.loads(JsonFormatter().format(record))["exception"]


def test_text_lines_end_with_the_extra_fields() -> None:
    assert TextFormatter().format(make_record(status=200)).endswith("hello you status=200")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_logging_goes_to_stderr(log_format: Any, capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.root.handlers[:], logging.root.level
    try:
        configure_logging("info", log_format)
        logging.getLogger("service.test").info("hello", extra={"status": 200})
        assert "hello" in capsys.readouterr().err
    finally:
        logging.root.handlers[:], logging.root.level = before
