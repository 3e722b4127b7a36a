"""Options of the load test as they are typed: spans of time, shares, `name=value` lists."""

import re
from collections.abc import Iterator

UNITS_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def parse_seconds(text: str) -> float:
    """Seconds of `90s`, `5m`, `250ms`, `1h`.

    Raises:
        ValueError: it has no unit, or is not a time.
    """
    match = SPAN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a time; write a number and ms, s, m or h, like 1500ms")
    return float(match[1]) * UNITS_SECONDS[match[2]]


def parse_share(text: str) -> float:
    """0.001 of `0.1%`.

    Raises:
        ValueError: it is not a percentage.
    """
    number, percent, rest = text.strip().partition("%")
    if not percent or rest or not re.fullmatch(r"\d+(\.\d+)?", number) or float(number) > 100:
        raise ValueError(f"{text!r} is not a share; write 0% to 100%, like 0.1%")
    return float(number) / 100


def parse_number(text: str) -> float:
    """A number that is not negative.

    Raises:
        ValueError: it is not.
    """
    if not re.fullmatch(r"\d+(\.\d+)?", text.strip()):
        raise ValueError(f"{text!r} is not a number")
    return float(text)


def split_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Names and values of `a=1,b=2`.

    Raises:
        ValueError: a part is not `name=value`, or comes twice.
    """
    names = set()
    for part in text.split(","):
        name, equals, value = (each.strip() for each in part.partition("="))
        if not (name and equals and value):
            raise ValueError(f"{part.strip()!r} is not NAME=VALUE")
        if name in names:
            raise ValueError(f"{name!r} comes twice")
        names.add(name)
        yield name, value
