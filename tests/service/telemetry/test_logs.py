import json
import logging
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from service.telemetry.logs import JsonFormatter, TextFormatter, configure_logging, extra_fields


@pytest.fixture(autouse=True)
def kept_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Gives the root logger its handlers back, pytest's among them."""
    for name in ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing"):
        monkeypatch.setattr(logging, name, getattr(logging, name))
    loggers = [logging.getLogger(name) for name in (None, "uvicorn.error", "python_multipart")]
    handlers, levels = list(loggers[0].handlers), [logger.level for logger in loggers]
    yield
    loggers[0].handlers[:] = handlers
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def make_record(message: str = "loaded %s", *args: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("test").makeRecord(
        "service.x", logging.INFO, __file__, 1, message, args or ("it",), None, extra=extra
    )


def test_record_without_extra_has_no_fields() -> None:
    assert extra_fields(make_record()) == {}


def test_fields_of_extra_are_found_and_colours_of_uvicorn_are_not() -> None:
    record = make_record(status=200, color_message="\x1b[36mx")
    assert extra_fields(record) == {"status": 200}


def test_text_line_ends_with_the_fields() -> None:
    line = TextFormatter().format(make_record(status=200, path="/classify"))
    assert line.endswith(" INFO service.x: loaded it status=200 path=/classify")


def test_text_line_begins_with_the_time() -> None:
    record = make_record()
    assert TextFormatter().format(record).startswith(logging.Formatter().formatTime(record) + " ")


def test_formatting_twice_adds_no_field() -> None:
    """The first time leaves `message` and `asctime` in the record."""
    record, formatter = make_record(status=200), TextFormatter()
    assert formatter.format(record) == formatter.format(record)


def test_json_line_holds_message_and_fields() -> None:
    record = make_record(status=200, ratio=0.5)
    line = json.loads(JsonFormatter().format(record))
    assert datetime.fromisoformat(line.pop("time")).tzinfo == UTC
    assert line == {
        **{"level": "info", "logger": "service.x", "message": "loaded it"},
        **{"status": 200, "ratio": 0.5},
    }


def test_json_keeps_one_line_and_letters_as_they_are() -> None:
    line = JsonFormatter().format(make_record("%s", "영화\nb"))
    assert "\n" not in line
    assert "영화" in line


def test_json_of_a_value_that_json_does_not_know_is_its_text() -> None:
    line = json.loads(JsonFormatter().format(make_record(error=ValueError("odd"))))
    assert line["error"] == "odd"


def test_json_holds_the_traceback() -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        record = make_record()
        record.exc_info = sys.exc_info()
    line = json.loads(JsonFormatter().format(record))
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: odd")


def test_lines_go_to_stderr_from_the_level_on(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "json")
    logging.getLogger("service.y").debug("hidden")
    logging.getLogger("service.y").info("shown")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["message"] == "shown"


def test_start_and_stop_lines_of_uvicorn_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("debug", "text")
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.error").error("broken")
    assert [line.rsplit(": ", 1)[1] for line in capsys.readouterr().err.splitlines()] == ["broken"]


def test_level_above_warning_holds_for_uvicorn_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("error", "text")
    logging.getLogger("uvicorn.error").warning("odd")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("level", ["debug", "info"])
def test_form_parser_has_nothing_to_say(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(level, "text")
    logging.getLogger("python_multipart.multipart").error("a form is malformed")
    assert capsys.readouterr().err == ""
