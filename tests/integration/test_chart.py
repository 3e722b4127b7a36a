"""The chart, rendered by helm's own engine and checked against the Kubernetes schemas."""

import tomllib
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from service.settings import Settings

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "seqserve"
KUBERNETES_VERSIONS = ("1.30", "1.37")

Manifests = dict[str, dict[str, Any]]


def render(values: dict[str, Any] | None = None, name: str = "demo") -> Manifests:
    """The manifests by kind."""
    with helm_python.Chart.load(CHART) as chart:
        rendered = chart.render(values or {}, name=name, namespace="test")
    texts = [text for path, text in rendered.items() if path.endswith(".yaml")]
    documents = [yaml.safe_load(text) for text in texts if text.strip()]
    return {document["kind"]: document for document in documents}


def pod_spec(manifests: Manifests) -> dict[str, Any]:
    return manifests["Deployment"]["spec"]["template"]["spec"]


VALUES: list[dict[str, Any]] = [
    {},
    {"gpu": {"enabled": True}, "tolerations": [{"key": "gpu", "operator": "Exists"}]},
    {
        "apiKeys": {"secretName": "keys"},
        "models": {"existingClaim": "models"},
        "imagePullSecrets": [{"name": "registry"}],
        "nodeSelector": {"disk": "ssd"},
        "podAnnotations": {"team": "language"},
        "service": {"type": "LoadBalancer", "port": 8080},
    },
]


def test_chart_passes_lint() -> None:
    report = helm_python.lint(CHART, strict=True)

    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] >= 2] == []


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
@pytest.mark.parametrize("values", VALUES, ids=["default", "gpu", "everything"])
def test_manifests_fit_the_kubernetes_schemas(values: dict[str, Any], version: str) -> None:
    manifests = render(values)

    assert set(manifests) == {"Deployment", "Service", "ConfigMap"}
    for manifest in manifests.values():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_service_selects_the_pods_and_their_port() -> None:
    manifests = render()
    template = manifests["Deployment"]["spec"]["template"]
    service = manifests["Service"]["spec"]
    ports = template["spec"]["containers"][0]["ports"]

    assert service["selector"].items() <= template["metadata"]["labels"].items()
    assert service["ports"][0]["targetPort"] in [port["name"] for port in ports]


def test_settings_reach_the_server_as_it_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"max_body_bytes": 2097152, "drain_seconds": 2.5, "max_batch_size": 32}
    data = render({"settings": values})["ConfigMap"]["data"]

    for name, value in data.items():
        monkeypatch.setenv(name, value)
    settings = Settings()

    assert data["SEQSERVE_MAX_BODY_BYTES"] == "2097152"
    assert settings.model_dump(include=set(values)) == values
    assert settings.log_format == "json"


def test_every_default_setting_is_one_the_server_knows() -> None:
    names = {name.removeprefix("SEQSERVE_").lower() for name in render()["ConfigMap"]["data"]}

    assert names <= set(Settings.model_fields)


@pytest.mark.parametrize(
    "values",
    [
        {"replicas": 2},
        {"settings": {"port": 9000}},
        {"settings": {"api_keys": "open"}},
        {"settings": {"log_format": "xml"}},
        {"service": {"port": 0}},
    ],
    ids=lambda values: next(iter(values)),
)
def test_wrong_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(helm_python.HelmError):
        render(values)


def test_gpu_release_asks_for_one_gpu_and_can_roll_on_a_full_node() -> None:
    manifests = render({"gpu": {"enabled": True, "resource": "nvidia.com/mig-1g.10gb"}})
    container = pod_spec(manifests)["containers"][0]
    rolling = manifests["Deployment"]["spec"]["strategy"]["rollingUpdate"]

    assert container["resources"]["limits"]["nvidia.com/mig-1g.10gb"] == 1
    assert container["image"] == "seqserve:gpu"
    assert manifests["ConfigMap"]["data"]["SEQSERVE_DEVICE"] == "cuda"
    assert rolling == {"maxSurge": 0, "maxUnavailable": 1}


def test_pod_is_locked_down() -> None:
    spec = pod_spec(render(name="seqserve"))
    container = spec["containers"][0]

    assert spec["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    # A Service called seqserve would otherwise inject SEQSERVE_PORT=tcp://...
    assert spec["enableServiceLinks"] is False


def test_pod_outlives_its_drain() -> None:
    spec = pod_spec(render({"settings": {"drain_seconds": 90}}))
    pre_stop = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert spec["terminationGracePeriodSeconds"] > 90 + pre_stop


def test_changed_settings_roll_the_pods() -> None:
    def checksum(values: dict[str, Any]) -> str:
        template = render(values)["Deployment"]["spec"]["template"]
        return template["metadata"]["annotations"]["checksum/config"]

    assert checksum({}) != checksum({"settings": {"max_batch_size": 8}})


def test_chart_names_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    assert chart["appVersion"] == project["version"]
