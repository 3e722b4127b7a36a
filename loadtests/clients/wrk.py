"""Closed-loop load by wrk: every connection sends its next request when the last is answered."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("cycle.lua")
LINE = re.compile(r"^WRK (?P<fields>(?:\w+=\d+ ?)+)$", re.MULTILINE)
TIMEOUT_SECONDS = 10
MISSING = (
    "error: wrk is needed for the closed-loop load and is not installed.\n"
    "Debian, Ubuntu: apt-get install wrk; elsewhere: https://github.com/wg/wrk"
)


@dataclass(frozen=True)
class ClosedLoop:
    """The figures that wrk measured.

    Attributes:
        num_requests: answered, with any status.
        num_failures: no connection, no answer, or a status of 400 and above.
    """

    num_requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    num_failures: int

    @property
    def requests_per_second(self) -> float:
        return (self.num_requests - self.num_failures) / self.seconds


def require_wrk() -> str:
    """Path of wrk.

    Raises:
        SystemExit: it is not installed; says how to get it.
    """
    path = shutil.which("wrk")
    if path is None:
        raise SystemExit(MISSING)
    return path


def run_wrk(url: str, bodies: Path, num_connections: int, seconds: float) -> ClosedLoop:
    """Sends the bodies to a URL, in turn, for some seconds.

    Args:
        url: takes POST.
        bodies: a file of JSON bodies, one a line.
        num_connections: each has one request under way.
        seconds: a whole number of them, for wrk takes no other.
    """
    command = [require_wrk(), "--threads", "1", "--connections", str(num_connections)]
    command += ["--duration", f"{round(seconds)}s", "--timeout", f"{TIMEOUT_SECONDS}s"]
    done = subprocess.run(
        [*command, "--script", str(SCRIPT), url],
        env=os.environ | {"WRK_BODIES": str(bodies)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"wrk failed: {done.stderr[-500:]}")
    return parse_wrk(done.stdout)


def parse_wrk(output: str) -> ClosedLoop:
    """Reads the line that `cycle.lua` writes.

    Raises:
        ValueError: the output has no such line.
    """
    match = LINE.search(output)
    if match is None:
        raise ValueError(f"wrk did not report: {output[-500:]!r}")
    fields = {name: int(value) for name, value in read_fields(match["fields"].split())}
    return ClosedLoop(
        num_requests=fields["requests"],
        seconds=fields["duration_us"] / 1e6,
        p50_ms=fields["p50_us"] / 1e3,
        p99_ms=fields["p99_us"] / 1e3,
        max_ms=fields["max_us"] / 1e3,
        num_failures=sum(
            fields[kind] for kind in ("connect", "read", "write", "status", "timeout")
        ),
    )


def read_fields(parts: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (part.partition("=") for part in parts)]
