"""A real nginx in front of two servers, with the configuration that users are given."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.integration.containers import find_port
from tests.integration.server import ROOT

EXAMPLE = ROOT / "deploy" / "nginx.conf"
ADDRESSES = ("127.0.0.1:8080", "127.0.0.1:8001", "127.0.0.1:8002")
NOBODY = 65534
# What stands around a file of /etc/nginx/conf.d, with every path in one folder.
MAIN = """
daemon off;
worker_processes 2;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/seqserve.conf;
}}
"""

# Debian keeps it where only root's PATH leads.
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
needs_nginx = pytest.mark.skipif(not NGINX, reason="nginx is not there (apt-get install nginx)")


def read_seconds(name: str) -> float:
    """A time that the example sets, in seconds."""
    (value,) = set(re.findall(rf"{name}[ =](\d+)s;", EXAMPLE.read_text(encoding="utf-8")))
    return float(value)


@contextmanager
def run_nginx(ports: tuple[int, int]) -> Iterator[str]:
    """Starts it before two servers on this machine; gives its own address. Needs no privilege."""
    assert NGINX is not None
    own = f"127.0.0.1:{find_port()}"
    text = EXAMPLE.read_text(encoding="utf-8")
    for address, ours in zip(
        ADDRESSES, (own, *(f"127.0.0.1:{port}" for port in ports)), strict=True
    ):
        assert text.count(address) == 1
        text = text.replace(address, ours)
    account = NOBODY if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "seqserve.conf").write_text(text, encoding="utf-8")
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder), encoding="utf-8")
        if account is not None:
            os.chown(folder, account, account)
        process = subprocess.Popen(
            [NGINX, "-e", "stderr", "-p", name, "-c", f"{name}/nginx.conf"],
            user=account,
            group=account,
            extra_groups=None if account is None else [],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            wait_answer(process, f"http://{own}")
            yield f"http://{own}"
        finally:
            process.terminate()
            process.communicate(timeout=20)


def wait_answer(process: subprocess.Popen[str], url: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        try:
            if httpx.get(f"{url}/livez", trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("nginx does not answer")
