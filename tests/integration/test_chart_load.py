"""The chart of the load test: rendered, checked against the schemas, its Job's command run."""

import itertools
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from tests.integration.charts import ROOT, Manifests, render
from tests.loadtests.stub import Service

LOAD_CHART = ROOT / "helm" / "seqserve-load"
KUBERNETES_VERSIONS = [f"1.{minor}" for minor in range(29, 38)]
COMBINATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "processes": {"processes": 4},
    "workers": {"workers": 3, "processes": 2},
    "everything": {
        "workers": 1,
        "target": {"url": "https://translate.example.org"},
        "options": {"shape": "soak", "load": 2000000, "mix": "chat=1", "timeout-ms": 900},
        "apiKey": {"secretName": "keys"},
        "image": {"digest": "sha256:" + "0" * 64},
        "imagePullSecrets": [{"name": "registry"}],
        "results": {"claim": "results"},
        "podLabels": {"team": "language"},
        "podAnnotations": {"team": "language"},
        "nodeSelector": {"role": "load"},
        "tolerations": [{"key": "load", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
    },
}


def render_load(values: dict[str, Any] | None = None, name: str = "demo") -> Manifests:
    return render(values, name, LOAD_CHART)


def containers_of(manifests: Manifests) -> list[dict[str, Any]]:
    jobs = [manifests[name] for name in ("job", "job-workers") if name in manifests]
    return [job["spec"]["template"]["spec"]["containers"][0] for job in jobs]


@pytest.fixture(params=COMBINATIONS, scope="module")
def manifests(request: pytest.FixtureRequest) -> Manifests:
    return render_load(COMBINATIONS[request.param])


def test_chart_passes_lint() -> None:
    report = helm_python.lint(LOAD_CHART, None, strict=True)

    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] >= 2] == []


def test_manifests_fit_every_kubernetes_schema(manifests: Manifests) -> None:
    for manifest, version in itertools.product(manifests.values(), KUBERNETES_VERSIONS):
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("name", ["demo", "n" * 53])
def test_names_fit_in_labels_and_pods_find_what_they_mount(name: str) -> None:
    manifests = render_load({"workers": 2}, name)
    for manifest in manifests.values():
        # a Job's name is a label of its pods
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", manifest["metadata"]["name"])
    for job in (manifests["job"], manifests["job-workers"]):
        volumes = {each["name"]: each for each in job["spec"]["template"]["spec"]["volumes"]}
        assert (
            volumes["programs"]["configMap"]["name"] == manifests["configmap"]["metadata"]["name"]
        )


@pytest.mark.parametrize("release", ["seqserve", "my-release", "r" * 53])
def test_target_is_the_service_of_a_release_of_the_other_chart(release: str) -> None:
    service = render({"service": {"port": 8080}}, release)["service"]
    manifests = render_load({"target": {"release": release, "port": 8080}})
    address = f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"

    assert f"--host=http://{address}" in containers_of(manifests)[0]["args"]


def test_default_target_is_the_default_service() -> None:
    service = render(name="seqserve")["service"]

    assert (service["metadata"]["name"], service["spec"]["ports"][0]["port"]) == ("seqserve", 80)
    assert "--host=http://seqserve:80" in containers_of(render_load())[0]["args"]


def test_workers_find_the_one_that_leads() -> None:
    manifests = render_load(COMBINATIONS["workers"])
    leader, worker = containers_of(manifests)
    labels = manifests["job"]["spec"]["template"]["metadata"]["labels"]
    others = manifests["job-workers"]["spec"]["template"]["metadata"]["labels"]
    service = manifests["service"]

    assert {"--master", "--expect-workers=6"} <= set(leader["args"])
    assert {"--worker", f"--master-host={service['metadata']['name']}"} <= set(worker["args"])
    assert "--processes=2" in worker["args"]
    assert "--processes=2" not in leader["args"]
    assert manifests["job-workers"]["spec"]["completions"] == 3
    assert service["spec"]["selector"].items() <= labels.items()
    assert not service["spec"]["selector"].items() <= others.items()


def test_missed_objective_is_not_tried_again() -> None:
    spec = render_load()["job"]["spec"]

    assert (spec["backoffLimit"], spec["template"]["spec"]["restartPolicy"]) == (0, "Never")


def test_pods_are_locked_down(manifests: Manifests) -> None:
    for name in ("job", "job-workers"):
        if name not in manifests:
            continue
        pod = manifests[name]["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        # A Service called locust would otherwise inject LOCUST_... variables.
        assert pod["enableServiceLinks"] is False
        assert pod["containers"][0]["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_values_reach_the_pods() -> None:
    manifests = render_load(COMBINATIONS["everything"])
    leader, worker = containers_of(manifests)

    assert "--load=2000000" in leader["args"]
    assert "--host=https://translate.example.org" in worker["args"]
    assert leader["image"] == "locustio/locust@sha256:" + "0" * 64
    assert {"name": "keys", "key": "api-key"} in [
        variable.get("valueFrom", {}).get("secretKeyRef") for variable in leader["env"]
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"options": {"laod": 3}}, r"/options.*'laod' not allowed"),
        ({"options": {"shape": "wave"}}, r"/options/shape.*one of 'steady', 'ramp'"),
        ({"options": {"duration": "5"}}, r"/options/duration.*does not match pattern"),
        ({"target": {"url": "seqserve:80"}}, r"/target/url.*does not match pattern"),
        ({"workers": -1}, r"/workers.*got -1, want 0"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(helm_python.HelmError, match=message):
        render_load(values)


def test_image_is_the_locked_locust() -> None:
    chart = yaml.safe_load((LOAD_CHART / "Chart.yaml").read_text(encoding="utf-8"))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")

    assert f"\nlocust=={chart['appVersion']}\n" in lock


def mount_programs(manifests: Manifests, folder: Path) -> Path:
    """Writes the files of the ConfigMap where the Job's volume puts them; returns the folder."""
    texts = manifests["configmap"]["data"]
    volumes = manifests["job"]["spec"]["template"]["spec"]["volumes"]
    (programs,) = (each for each in volumes if each["name"] == "programs")
    for item in programs["configMap"]["items"]:
        path = folder / item["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts[item["key"]], encoding="utf-8")
    return folder


def test_volume_holds_every_program_as_the_package_it_is(tmp_path: Path) -> None:
    folder = mount_programs(render_load(), tmp_path)
    texts = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.py")
    }

    assert len(texts) == len(render_load()["configmap"]["data"])
    for name, text in texts.items():
        assert text == (ROOT / name).read_text(encoding="utf-8")


def test_the_job_s_command_runs_on_the_files_of_its_config_map(tmp_path: Path) -> None:
    with Service() as service:
        threading.Thread(target=service.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{service.server_address[1]}"
        options = {"shape": "steady", "load": 20, "duration": "3s", "slo": "errors=0%"}
        manifests = render_load({"target": {"url": url}, "options": options})
        programs = mount_programs(manifests, tmp_path / "programs")
        container = containers_of(manifests)[0]
        arguments = [
            argument.replace("/programs/", f"{programs}/").replace("/results/", f"{tmp_path}/")
            for argument in container["args"]
        ]
        variables = {each["name"]: each.get("value", "") for each in container["env"]}
        path = variables["PYTHONPATH"].replace("/programs", str(programs))
        done = subprocess.run(
            [sys.executable, "-m", "locust", *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        service.shutdown()

    assert done.returncode == 0, done.stdout + done.stderr
    assert "| errors    |    0% |    0% | yes |" in done.stdout
    assert (tmp_path / "load.html").exists()
