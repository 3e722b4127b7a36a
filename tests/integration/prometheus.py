"""A real Prometheus beside a real server."""

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from tests.integration.containers import find_port
from tests.integration.server import Server

SCRAPE_SECONDS = 1

needs_prometheus = pytest.mark.skipif(
    not shutil.which("prometheus"), reason="prometheus is not there (apt-get install prometheus)"
)


@contextmanager
def run_prometheus(
    server: Server, folder: Path, rules: Sequence[Path] = (), flags: Sequence[str] = ()
) -> Iterator[httpx.Client]:
    """Scrapes the server every second; gives a client of Prometheus' own API."""
    address = server.url.removeprefix("http://")
    labels = {"namespace": "test", "pod": "seqserve-0"}
    config = {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {
                "job_name": "seqserve",
                "static_configs": [{"targets": [address], "labels": labels}],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    port = find_port()
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", *flags]
    command += [f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            wait_answer(client)
            yield client
    finally:
        process.terminate()
        process.wait(20)


def wait_answer(client: httpx.Client) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            if client.get("/-/ready").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("prometheus does not start")
