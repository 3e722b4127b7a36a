"""The chart's Deployment as a real pod: `podman play kube` runs what helm renders.

Run by `make image-test`. podman knows no Service, lifecycle hook or HTTP probe without curl; all
else of the pod holds: settings, security, limits, init containers, volumes.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.integration.charts import CHART, pod_spec, read_values, render, server_of
from tests.integration.containers import IMAGE, call, find_port, start, wait_ready

pytestmark = [
    pytest.mark.image,
    pytest.mark.skipif(not shutil.which("podman"), reason="podman runs pods without a cluster"),
]

REPOSITORY, _, TAG = IMAGE.rpartition(":")
LOCAL_IMAGE = {"repository": f"localhost/{REPOSITORY}", "tag": TAG, "pullPolicy": "Never"}


@contextmanager
def run_pod(values: dict[str, Any], folder: Path) -> Iterator[tuple[str, str]]:
    """Runs the Deployment of a release; gives its address and the name of its container."""
    port = find_port()
    manifests = render(values | {"image": LOCAL_IMAGE}, name=f"pod-{port}")
    server_of(manifests)["ports"][0]["hostPort"] = port
    rename_volumes(pod_spec(manifests), f"pod-{port}-")
    configs = [body for body in manifests.values() if body["kind"] == "ConfigMap"]
    file = folder / "pod.yaml"
    file.write_text(yaml.safe_dump_all([*configs, manifests["deployment"]]), encoding="utf-8")
    pod = manifests["deployment"]["metadata"]["name"] + "-pod-0"
    name = f"{pod}-seqserve"
    url = f"http://127.0.0.1:{port}"
    try:
        play(file, pod)
        wait_ready(url, lambda: check_pod(name))
        yield url, name
    finally:
        start("pod", "rm", "--force", pod)
        for volume in pod_spec(manifests)["volumes"]:
            start("volume", "rm", "--force", volume["name"])


def play(file: Path, pod: str) -> None:
    """Starts the pod; podman 4.3 at times finds an init container still running that has ended."""
    done = start("play", "kube", str(file))
    if "failed to remove once init container" in done.stderr:
        done = start("start", f"{pod}-seqserve")
    assert done.returncode == 0, done.stderr


def rename_volumes(spec: dict[str, Any], prefix: str) -> None:
    """podman's volumes are the machine's, so that `tmp` may be somebody else's."""
    containers = spec["containers"] + spec.get("initContainers", [])
    mounts = [mount for container in containers for mount in container["volumeMounts"]]
    for named in spec["volumes"] + mounts:
        named["name"] = prefix + named["name"]


def check_pod(name: str) -> None:
    assert inspect(name)["State"]["Running"], start("logs", name).stderr


def inspect(name: str) -> dict[str, Any]:
    (found,) = json.loads(call("inspect", name))
    container: dict[str, Any] = found
    return container


def check_api(url: str) -> str:
    """What `helm test` runs in the cluster."""
    text = (CHART / "files" / "check_api.py").read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", text, url], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    values = read_values("values-production.yaml") | {"settings": {"drain_seconds": 5}}
    with run_pod(values, tmp_path_factory.mktemp("pod")) as running:
        yield running


def test_pod_passes_its_own_test(pod: tuple[str, str]) -> None:
    assert "translation-en-de" in check_api(pod[0])


def test_pod_runs_as_the_chart_says(pod: tuple[str, str]) -> None:
    container = inspect(pod[1])
    limits = container["HostConfig"]

    assert container["Config"]["User"] == "10001:10001"
    assert not container["EffectiveCaps"]
    assert limits["ReadonlyRootfs"]
    assert "no-new-privileges" in limits["SecurityOpt"]
    assert (limits["Memory"], limits["NanoCpus"]) == (2**31, 2 * 10**9)
    assert "SEQSERVE_DRAIN_SECONDS=5" in container["Config"]["Env"]


def test_pod_ends_in_peace(tmp_path: Path) -> None:
    with run_pod({"settings": {"drain_seconds": 5}}, tmp_path) as (url, name):
        answer = httpx.get(url + "/models", trust_env=False)
        call("stop", "--time", "20", name)
        state = inspect(name)["State"]

    assert len(answer.json()) > 1
    assert state["ExitCode"] == 0


def test_models_of_another_image_are_copied_by_an_init_container(tmp_path: Path) -> None:
    # An image with one model alone, made of the service's own.
    containerfile = tmp_path / "Containerfile"
    containerfile.write_text(
        f"FROM localhost/{IMAGE}\nUSER 0\nRUN mkdir /one && cp -R /models/sentiment-ko /one/\n",
        encoding="utf-8",
    )
    models_image = "localhost/seqserve-test-models:1"
    call("build", "--isolation", "chroot", "--tag", models_image, str(tmp_path))
    models = {"source": "oci", "oci": {"image": models_image, "path": "/one"}}
    try:
        with run_pod({"models": models}, tmp_path) as (url, _):
            served = httpx.get(url + "/models", trust_env=False).json()
    finally:
        start("rmi", models_image)

    assert [model["name"] for model in served] == ["sentiment-ko"]
