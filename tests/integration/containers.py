"""The image in a real container, run by podman or docker as `make image-test` found them."""

import json
import os
import resource
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

IMAGE = os.environ.get("SEQSERVE_TEST_IMAGE", "seqserve:cpu")
START_SECONDS = 120.0
MAX_ULIMIT = 16384
# What a hardened cluster imposes: nothing is writable, no capability, no way to more rights.
LOCKED_DOWN = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


def find_tool() -> list[str]:
    """The command to run containers with; buildah only builds, podman sees its images.

    Raises:
        AssertionError: there is none.
    """
    named = Path(os.environ.get("SEQSERVE_TEST_TOOL") or "podman").name
    tool = shutil.which("podman" if named == "buildah" else named)
    assert tool, f"{named} is not there; podman or docker is needed to run the image"
    if named == "docker" or Path("/run/systemd/system").exists():
        return [tool]
    # podman's defaults want systemd, and crun.
    flags = ["--cgroup-manager", "cgroupfs", "--events-backend", "file"]
    return [tool, *flags, *(["--runtime", "runc"] if shutil.which("runc") else [])]


IS_DOCKER = Path(os.environ.get("SEQSERVE_TEST_TOOL", "")).name == "docker"


def find_run_flags() -> list[str]:
    """What makes podman as strict as docker: it would leave /tmp writable, and raise limits."""
    if IS_DOCKER:
        return []
    limits = {
        name: min(resource.getrlimit(number)[1], MAX_ULIMIT)
        for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC))
    }
    flags = [f"--ulimit={name}={limit}:{limit}" for name, limit in limits.items()]
    return ["--read-only-tmpfs=false", *flags]


def call(*arguments: str, timeout: float = 120.0) -> str:
    """Runs the tool; returns its stdout.

    Raises:
        AssertionError: it failed; the message is its stderr.
    """
    done = subprocess.run(
        [*find_tool(), *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"{' '.join(arguments[:3])}: {done.stderr}"
    return done.stdout.strip()


def inspect_image() -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(call("image", "inspect", IMAGE))
    return found[0]


def run_once(*command: str) -> str:
    """Output of a command in a container of its own, in place of the server."""
    entrypoint, *arguments = command
    flags = ["--rm", "--network", "none", *LOCKED_DOWN, *find_run_flags()]
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
        done = subprocess.run(
            [*find_tool(), "logs", self.name], capture_output=True, text=True, check=True
        )
        return done.stderr.splitlines()

    def read_log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.read_lines() if line.startswith("{")]

    def is_healthy(self) -> bool:
        """What the image's own HEALTHCHECK says."""
        if IS_DOCKER:
            status: str = self.state()["Health"]["Status"]
            return status == "healthy"
        command = [*find_tool(), "healthcheck", "run", self.name]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


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
    call(*command, *find_run_flags(), *flags, *variables, IMAGE)
    try:
        wait_ready(container.url, container.check_running)
        container.ready_seconds = time.monotonic() - started
        yield container
    finally:
        call("rm", "--force", container.name)


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
