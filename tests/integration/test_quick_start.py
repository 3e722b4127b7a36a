"""The quick start of the README as it is printed: `make serve`, and its first request."""

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.integration.pages import assert_alike, read_examples
from tests.integration.server import (
    PATIENCE,
    ROOT,
    Server,
    find_url,
    stop_process,
    wait_ready,
)

README = ROOT / "README.md"
# What make hands on of its own command line, and settings: the quick start knows none.
FOREIGN = ("ARGS", "MAKE", "MFLAGS", "OTEL_", "PORT", "SEQSERVE_")
COMMAND = re.compile(r"^    (make serve)$", re.MULTILINE)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not any((ROOT / ".venv").glob(".serve-*")), reason="make has installed nothing here"
    ),
]


@contextmanager
def run_command(command: str, log: Path) -> Iterator[Server]:
    """Starts a server as in a terminal, but on a free port, and waits until it is ready."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    with log.open("w", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            shlex.split(command),
            cwd=ROOT,
            env=variables | PATIENCE | {"SEQSERVE_PORT": "0"},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    try:
        server = Server(process, find_url(process, log), log)
        wait_ready(server)
        yield server
    finally:
        stop_process(process)


def test_first_request_of_the_quick_start_is_answered_as_printed(tmp_path: Path) -> None:
    (command,) = COMMAND.findall(README.read_text(encoding="utf-8"))
    request, printed = read_examples(README)[0]
    _, _, address, _, body, *_ = shlex.split(request)  # curl -s ADDRESS -d BODY ...

    with run_command(command, tmp_path / "log") as server, server.open_client() as client:
        answer = client.post(
            address.removeprefix("localhost:8000"),
            content=body,
            headers={"content-type": "application/json"},
        )
        os.killpg(server.process.pid, signal.SIGINT)  # as Ctrl-C does
        server.process.wait(60)

    assert_alike(answer.json(), json.loads(printed))
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/livez", trust_env=False)
