"""How long a client will wait, as its headers say."""

TIMEOUT_HEADER = b"x-request-timeout-ms"
MAX_DIGITS = 19


def read_milliseconds(value: bytes) -> int | None:
    """A whole number; None if it is something else."""
    return int(value) if value.isdigit() and len(value) <= MAX_DIGITS else None
