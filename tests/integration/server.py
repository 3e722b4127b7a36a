"""A real server: a process of its own, listening on a real port."""

import os
import re
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[2]
MODELS_DIR = ROOT / "models" / "repository"
READY_LINE = re.compile(r"ready on (https?://\S+)")
START_SECONDS = 120.0


@dataclass
class Server:
    """A running process of `python -m service`.

    Attributes:
        url: where it listens.
        log: the file that its stderr goes to.
        tls: what its certificate is checked with.
    """

    process: subprocess.Popen[str]
    url: str
    log: Path
    tls: ssl.SSLContext | None = None

    def open_client(self) -> httpx.Client:
        scheme, _, unix_socket = self.url.partition("://unix:")
        transport = httpx.HTTPTransport(
            uds=unix_socket or None, verify=True if self.tls is None else self.tls
        )
        url = f"{scheme}://localhost" if unix_socket else self.url
        # a proxy of the environment is not for a server on this machine
        return httpx.Client(base_url=url, timeout=120.0, trust_env=False, transport=transport)

    def stop(self, seconds: float = 60.0) -> int:
        """Sends SIGTERM and waits for the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def read_log(self) -> str:
        return self.log.read_text(encoding="utf-8")


# However busy the machine of the tests is, a server of theirs lets clients wait.
PATIENCE = {"SEQSERVE_MAX_QUEUE_WAIT_MS": "30000", "SEQSERVE_MAX_STANDING_WAIT_MS": "30000"}


@contextmanager
def run_server(
    models_dir: Path,
    log: Path,
    *flags: str,
    num_workers: int = 1,
    variables: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Server]:
    """Starts a server on a free port and waits until it is ready; kills it in the end.

    Args:
        models_dir: its model repository.
        log: a file for its stderr.
        flags: further arguments; the last one wins.
        num_workers: with one its metrics are of this very moment; several see each other's a
            second late.
        variables: of its environment, which has no other settings but `PATIENCE`.
        tls: what its certificate is checked with, if it has one.

    Raises:
        AssertionError: it does not become ready; the message holds its log.
    """
    command = [sys.executable, "-m", "service", "--port", "0", "--models-dir", str(models_dir)]
    command += ["--workers", str(num_workers)]
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SEQSERVE_", "OTEL_"))
    }
    environment |= PATIENCE | dict(variables or {})
    with log.open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            [*command, "--device", "cpu", *flags],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        server = Server(process, find_url(process, log), log, tls)
        wait_ready(server)
        yield server
    finally:
        stop_process(process)


def find_url(process: subprocess.Popen[str], log: Path) -> str:
    """The address in the line that the server prints when it listens."""
    assert process.stdout is not None
    for line in process.stdout:
        if match := READY_LINE.search(line):
            return match[1]
    raise AssertionError(f"the server ended: {log.read_text(encoding='utf-8')[-2000:]}")


def wait_ready(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    with server.open_client() as client:
        while client.get("/readyz").status_code != httpx.codes.OK:
            assert time.monotonic() < deadline, client.get("/readyz").text
            time.sleep(0.05)


def wait_until(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it has not come about in time"
        time.sleep(0.02)


def stop_process(process: subprocess.Popen[str]) -> None:
    """Lets it end by itself, which writes the coverage it gathered; kills it where it does not."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def read_metric(client: httpx.Client, name: str, **labels: str) -> float:
    """Sum of the samples of a metric that carry the labels."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
