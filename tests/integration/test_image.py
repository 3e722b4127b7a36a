"""The container image as an operator uses it: locked down, limited, stopped under load.

Run by `make image-test`, which builds the image first.
"""

import json
import re
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from tests.integration.containers import (
    Container,
    call,
    inspect_image,
    run_container,
    run_once,
)
from tests.integration.pages import assert_alike, read_examples, run_curl

pytestmark = pytest.mark.image

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
MAX_IMAGE_BYTES = 450_000_000
MEMORY = "640m"
REFUSED, CUT = 0, 1
LOAD_SECONDS, NUM_CLIENTS = 3.0, 16
MAX_CROSSING_SECONDS = 0.3
SENTENCES = ["A man is riding a bicycle down the street.", "Two dogs play in the snow."]
BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/classify", {"inputs": "a delight from start to finish"}),
    ("/classify", {"inputs": ["two hours I will never get back"] * 8}),
    ("/translate", {"q": SENTENCES[0], "source": "en", "target": "de"}),
    # Long enough that some are surely in the server when it is told to stop.
    ("/translate", {"q": SENTENCES * 64, "source": "en", "target": "de", "beam_size": 8}),
]


def report(line: str) -> None:
    """`make image-test` shows what passing tests print."""
    sys.stdout.write(line + "\n")


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    with run_container("--memory", MEMORY, "--pids-limit", "128") as running:
        yield running


def test_image_is_small() -> None:
    size = inspect_image()["Size"]

    report(f"image: {size / 1e6:.0f} MB uncompressed")
    assert size < MAX_IMAGE_BYTES


def test_image_says_what_it_is() -> None:
    config = inspect_image()["Config"]
    labels = {
        name.removeprefix("org.opencontainers.image."): value
        for name, value in config["Labels"].items()
    }

    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["seqserve"]
    assert re.fullmatch(r"[0-9a-f]{40}", labels["revision"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", labels["created"])
    assert (labels["title"], labels["licenses"]) == ("seqserve", "Apache-2.0")
    assert labels["version"] in run_once("seqserve", "--version")


# Whatever could build or install something has no business in an image that serves.
TOOLS = ["pip", "pip3", "gcc", "cc", "g++", "make", "git"]
MODULES = ["torch", "pip", "setuptools", "ensurepip", "pytest", "onnx", "sacrebleu"]
LOOK_AROUND = f"""
import importlib.util, json, os, pathlib, shutil
writable = []
for folder, names, files in os.walk("/"):
    names[:] = [n for n in names if os.path.join(folder, n) not in ("/proc", "/sys", "/dev")]
    writable += [p for p in (os.path.join(folder, n) for n in files)
                 if not os.path.islink(p) and os.access(p, os.W_OK)]
print(json.dumps({{
    "tools": [name for name in {TOOLS} if shutil.which(name)],
    "modules": [name for name in {MODULES} if importlib.util.find_spec(name)],
    "caches": [str(path) for path in pathlib.Path("/").glob("**/.cache/pip")],
    "sources": [path for path in ("/source", "/code") if os.path.exists(path)],
    "writable": writable,
    "ids": [os.getuid(), os.getgid()],
    "models": sorted(os.listdir("/models")),
}}))
"""


def test_image_holds_what_it_serves_and_nothing_to_build_with() -> None:
    found = json.loads(run_once("/opt/seqserve/bin/python", "-c", LOOK_AROUND))

    assert found["models"] == sorted(path.name for path in (ROOT / "models/repository").iterdir())
    assert found["ids"] == [10001, 10001]
    del found["models"], found["ids"]
    assert not any(found.values()), found


def test_whole_models_are_in_the_image() -> None:
    assert "all models in /models passed" in run_once("seqserve", "models", "verify")


def test_container_is_ready_soon_and_healthy(container: Container) -> None:
    report(f"start to ready: {container.ready_seconds:.1f} s")

    assert container.ready_seconds < 60
    assert container.is_healthy()


@pytest.mark.parametrize(("command", "printed"), read_examples(README))
def test_curls_of_the_readme_answer_as_it_says(
    container: Container, command: str, printed: str
) -> None:
    assert_alike(run_curl(command, container.url), json.loads(printed))


@dataclass
class Load:
    """Clients that ask until told to stop, and what became of each request.

    Attributes:
        answers: status by request id; REFUSED if no server listened, CUT if a connection that
            was taken gave no answer.
        cut_seconds: how long each request that was cut had been under way.
    """

    url: str
    stop: Event = field(default_factory=Event)
    answers: dict[str, int] = field(default_factory=dict)
    cut_seconds: list[float] = field(default_factory=list)

    def ask_always(self, number: int) -> None:
        """One client; every other one keeps its connection open."""
        limits = httpx.Limits(max_keepalive_connections=number % 2)
        with httpx.Client(
            base_url=self.url, limits=limits, timeout=60.0, trust_env=False
        ) as client:
            while not self.stop.is_set():
                path, body = BODIES[number // 2 % len(BODIES)]
                name, sent = uuid.uuid4().hex, time.monotonic()
                self.answers[name] = ask(client, path, body, name)
                if self.answers[name] == CUT:
                    self.cut_seconds.append(time.monotonic() - sent)
                elif self.answers[name] == REFUSED:
                    time.sleep(0.01)


def ask(client: httpx.Client, path: str, body: dict[str, Any], name: str) -> int:
    try:
        return client.post(path, json=body, headers={"X-Request-ID": name}).status_code
    except httpx.ConnectError:
        return REFUSED
    except httpx.TransportError:
        return CUT


@pytest.fixture(scope="module")
def stopped() -> tuple[Load, list[dict[str, Any]], dict[str, Any]]:
    """A container of its own, told to stop under load: the clients, its log, its last state."""
    with (
        run_container("--memory", MEMORY, "--cpus", "1") as container,
        ThreadPoolExecutor(NUM_CLIENTS) as pool,
    ):
        load = Load(container.url)
        clients = [pool.submit(load.ask_always, number) for number in range(NUM_CLIENTS)]
        time.sleep(LOAD_SECONDS)
        call("kill", "--signal", "TERM", container.name)
        call("wait", container.name)
        load.stop.set()
        for client in clients:
            client.result()
        return load, container.read_log(), container.state()


Stopped = tuple[Load, list[dict[str, Any]], dict[str, Any]]


def test_no_admitted_request_is_lost_when_stopped_under_load(stopped: Stopped) -> None:
    load, log, _ = stopped
    told = {
        line["request_id"]: line["status"]
        for line in log
        if line.get("path") in ("/classify", "/translate")
    }
    outcomes = Counter(load.answers.values())

    report(f"stopped under load: {len(told)} requests read; answers by status {dict(outcomes)}")
    report(f"cut after seconds: {[round(each, 3) for each in sorted(load.cut_seconds)]}")
    # Each client has the answer that the log says it was given; 429 is what is not admitted.
    assert told == {
        name: status for name, status in load.answers.items() if status not in (REFUSED, CUT)
    }
    assert set(told.values()) <= {200, 429}
    assert outcomes[200] > 100
    # A request that crosses the closing of its connection is cut before the server reads it, and
    # a client may send it again; what had been in the server for longer is answered.
    assert max(load.cut_seconds, default=0.0) < MAX_CROSSING_SECONDS, sorted(load.cut_seconds)
    assert outcomes[CUT] <= NUM_CLIENTS


def test_stopped_container_ends_in_peace(stopped: Stopped) -> None:
    _, log, state = stopped

    assert state["ExitCode"] == 0
    assert not state["OOMKilled"]
    assert [line for line in log if line["level"] not in ("info", "debug")] == []


def test_unknown_setting_stops_the_container() -> None:
    with (
        pytest.raises(AssertionError, match="SEQSERVE_MAX_BACTH_SIZE is not a setting"),
        run_container(max_bacth_size="1"),
    ):
        pass
