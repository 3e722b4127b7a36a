"""The image in a real container, run by podman or docker as `make image-test` found them."""

import atexit
import json
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

IMAGE = os.environ.get("SEQSERVE_TEST_IMAGE", "seqserve:cpu")
START_SECONDS = 120.0
MAX_ULIMIT = 16384
# What a hardened cluster imposes: nothing is writable, no capability, no way to more rights.
LOCKED_DOWN = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


IS_DOCKER = Path(os.environ.get("SEQSERVE_TEST_TOOL", "")).name == "docker"
# podman would make more than the image's own volume writable.
RUN_FLAGS = () if IS_DOCKER else ("--read-only-tmpfs=false",)


def find_tool() -> str:
    """What to run containers with; buildah only builds, podman sees its images.

    Raises:
        AssertionError: there is none.
    """
    name = "docker" if IS_DOCKER else "podman"
    tool = shutil.which(name)
    assert tool, f"{name} is not there; podman or docker is needed to run the image"
    return tool


@cache
def make_environment() -> dict[str, str]:
    """podman's defaults want systemd, and limits above those that a machine in a sandbox has."""
    environment = dict(os.environ)
    if IS_DOCKER or Path("/run/systemd/system").exists() or "CONTAINERS_CONF" in environment:
        return environment
    limits = [
        f"{name}={limit}:{limit}"
        for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC))
        for limit in [min(resource.getrlimit(number)[1], MAX_ULIMIT)]
    ]
    engine = ['cgroup_manager = "cgroupfs"', 'events_logger = "file"']
    engine += ['runtime = "runc"'] if shutil.which("runc") else []
    lines = ["[containers]", f"default_ulimits = {json.dumps(limits)}", "[engine]", *engine]
    folder = Path(tempfile.mkdtemp(prefix="seqserve-test-"))
    atexit.register(shutil.rmtree, folder)
    path = folder / "containers.conf"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return environment | {"CONTAINERS_CONF": str(path)}


def start(*arguments: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [find_tool(), *arguments],
        env=make_environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def call(*arguments: str, timeout: float = 120.0) -> str:
    """Runs the tool; returns its stdout.

    Raises:
        AssertionError: it failed; the message is its stderr.
    """
    done = start(*arguments, timeout=timeout)
    assert done.returncode == 0, f"{' '.join(arguments[:3])}: {done.stderr}"
    return done.stdout.strip()


def inspect_image() -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(call("image", "inspect", IMAGE))
    return found[0]


def run_once(*command: str) -> str:
    """Output of a command in a container of its own, in place of the server."""
    entrypoint, *arguments = command
    flags = ["--rm", "--network", "none", *LOCKED_DOWN, *RUN_FLAGS]
    return call("run", *flags, "--entrypoint", entrypoint, IMAGE, *arguments)


@dataclass
class Container:
    """A running container.

    Attributes:
        ready_seconds: from `run` to the first 200 of /readyz.
    """

    name: str
    url: str
    ready_seconds: float = 0.0

    def state(self) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(call("inspect", self.name))
        state: dict[str, Any] = found[0]["State"]
        return state

    def check_running(self) -> None:
        """Raises AssertionError, with the log, where the server has ended."""
        assert self.state()["Running"], "the server ended: " + "\n".join(self.read_lines()[-20:])

    def read_lines(self) -> list[str]:
        """The log, which goes to stderr."""
        return start("logs", self.name).stderr.splitlines()

    def read_log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.read_lines() if line.startswith("{")]

    def is_healthy(self) -> bool:
        """What the image's own HEALTHCHECK says."""
        if IS_DOCKER:
            status: str = self.state()["Health"]["Status"]
            return status == "healthy"
        return start("healthcheck", "run", self.name).returncode == 0


@contextmanager
def run_container(*flags: str, **settings: str) -> Iterator[Container]:
    """Runs the image locked down and waits until it is ready; removes it in the end.

    Args:
        flags: further ones of `run`, for instance a memory limit.
        settings: of the server.
    """
    port = find_port()
    settings = {"host": "127.0.0.1", "port": str(port), "log_format": "json"} | settings
    variables = [f"--env=SEQSERVE_{name.upper()}={value}" for name, value in settings.items()]
    container = Container(f"seqserve-test-{port}", f"http://127.0.0.1:{port}")
    command = ["run", "--detach", "--name", container.name, "--network", "host", *LOCKED_DOWN]
    started = time.monotonic()
    call(*command, *RUN_FLAGS, *flags, *variables, IMAGE)
    try:
        wait_ready(container.url, container.check_running)
        container.ready_seconds = time.monotonic() - started
        yield container
    finally:
        call("rm", "--force", "--volumes", container.name)


def find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_ready(url: str, check_running: Callable[[], None]) -> None:
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(base_url=url, timeout=5.0, trust_env=False) as client:
        while time.monotonic() < deadline:
            # Asking the tool costs more than asking the server: now and then is enough.
            for _ in range(50):
                if is_ready(client):
                    return
                time.sleep(0.02)
            check_running()
    raise AssertionError(f"not ready after {START_SECONDS} s")


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
