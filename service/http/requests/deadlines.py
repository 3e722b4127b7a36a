"""How long a client will wait: as its headers and its body say, and as the operator allows."""

import time

from service.errors import InvalidInput
from service.settings import Settings

TIMEOUT_HEADER = b"x-request-timeout-ms"
MAX_DIGITS = 19


def read_milliseconds(value: bytes) -> int | None:
    """A whole number; None if it is something else."""
    return int(value) if value.isdigit() and len(value) <= MAX_DIGITS else None


def choose_deadline(
    settings: Settings, timeout_ms: int | None, header: bytes | None, age_seconds: float
) -> float:
    """When the answer is of no use any more, in monotonic seconds: by the shorter of both limits.

    Args:
        settings: have the limit of a client that names none, and the longest one.
        timeout_ms: of the body, if it has one.
        header: the value of `TIMEOUT_HEADER`, if there is one.
        age_seconds: that the request had waited to be read.

    Raises:
        InvalidInput: a limit is not a number, or above what the operator allows.
    """
    asked = None if header is None else read_milliseconds(header)
    if header is not None and asked is None:
        raise InvalidInput("X-Request-Timeout-Ms must be a whole number of milliseconds.")
    limits = [limit for limit in (timeout_ms, asked) if limit is not None]
    shortest = min(limits, default=settings.default_timeout_ms)
    if not 1 <= shortest <= settings.max_timeout_ms:
        raise InvalidInput(f"The timeout must be 1 to {settings.max_timeout_ms} milliseconds.")
    return time.monotonic() - age_seconds + shortest / 1000
