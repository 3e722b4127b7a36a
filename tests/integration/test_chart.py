"""The chart, rendered by helm's own engine and checked against the Kubernetes schemas."""

import itertools
import json
import math
import re
import tomllib
from collections.abc import Iterable
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from service.settings import Settings, unknown_variables
from tests.integration.chart_schema import RESERVED, SCHEMA, describe_settings
from tests.integration.charts import (
    CHART,
    ROOT,
    VALUES_FILES,
    Manifests,
    pod_spec,
    read_values,
    render,
    server_of,
)

KUBERNETES_VERSIONS = [f"1.{minor}" for minor in range(29, 38)]
CUSTOM_KINDS = {"ServiceMonitor", "PrometheusRule", "ScaledObject"}
SHA = "0" * 64
ARCHIVES = [{"url": "https://example.org/fr-3.tar.gz", "sha256": SHA}]
MONITORING = {name: {"enabled": True} for name in ("serviceMonitor", "prometheusRule", "dashboard")}
EVERYTHING: dict[str, Any] = {
    "apiKeys": {"secretName": "keys"},
    "models": {"source": "http", "http": {"archives": ARCHIVES, "authorizationSecret": "token"}},
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccount": {"create": True, "annotations": {"team": "language"}},
    "nodeSelector": {"disk": "ssd"},
    "commonLabels": {"team": "language"},
    "podLabels": {"tier": "serving"},
    "podAnnotations": {"team": "language"},
    "priorityClassName": "serving",
    "affinity": {"nodeAffinity": {}},
    "extraEnv": [{"name": "OTEL_SERVICE_NAME", "value": "seqserve"}],
    "service": {"type": "LoadBalancer", "port": 8080, "annotations": {"internal": "true"}},
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "hosts": [{"host": "translate.example.org", "path": "/"}],
        "tls": [{"secretName": "tls", "hosts": ["translate.example.org"]}],
    },
    "podDisruptionBudget": {"enabled": True, "minAvailable": "50%", "maxUnavailable": ""},
    "networkPolicy": {
        "enabled": True,
        "from": [{"namespaceSelector": {"matchLabels": {"name": "web"}}}],
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "egress": [{"ports": [{"port": 443}]}],
    },
    "monitoring": MONITORING,
}
COMBINATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    **{name.removesuffix(".yaml"): read_values(name) for name in VALUES_FILES},
    "production-gpu": read_values("values-gpu.yaml") | read_values("values-production.yaml"),
    "everything": EVERYTHING,
    "mig": {"gpu": {"enabled": True, "resource": "nvidia.com/mig-1g.10gb"}},
    "ipv6": {
        "settings": {"host": "::"},
        "service": {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]},
    },
    "recreate": {"gpu": {"enabled": True}, "strategy": {"type": "Recreate"}},
    "adapter": {"autoscaling": {"enabled": True, "source": "adapter"}},
    "keda": {
        "autoscaling": {"enabled": True, "source": "keda", "prometheusAddress": "http://p:9090"}
    },
    "claim": {"models": {"source": "claim", "claim": {"name": "models", "subPath": "fr"}}},
    "oci": {"models": {"source": "oci", "oci": {"image": "models:3"}}},
    "oci-mounted": {"models": {"source": "oci", "oci": {"image": "models:3", "mount": True}}},
    "archives-elsewhere": {
        "models": {"source": "http", "http": {"existingConfigMap": "list"}},
    },
    "digest": {"image": {"digest": "sha256:" + SHA}},
    "no-replicas": {"replicaCount": 0, "tests": {"enabled": False}},
    "budget-by-number": {
        "replicaCount": 3,
        "podDisruptionBudget": {"enabled": True, "minAvailable": 2, "maxUnavailable": ""},
    },
    "no-limits": {"resources": {"limits": None}},
    "gpu-without-limits": {"gpu": {"enabled": True}, "resources": {"limits": None}},
    "long-names": {
        "fullnameOverride": "n" * 63,
        "models": {"source": "http", "http": {"archives": ARCHIVES}},
    },
}


@pytest.fixture(params=COMBINATIONS, scope="module")
def manifests(request: pytest.FixtureRequest) -> Manifests:
    return render(COMBINATIONS[request.param])


@pytest.mark.parametrize("name", [None, *VALUES_FILES])
def test_chart_passes_lint(name: str | None) -> None:
    report = helm_python.lint(CHART, read_values(name) if name else None, strict=True)

    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] >= 2] == []


def test_manifests_fit_the_kubernetes_schemas(manifests: Manifests) -> None:
    # Image volumes came with 1.31: the one value that asks for a newer cluster.
    versions = ("1.31", "1.37") if "reference" in json.dumps(manifests) else ("1.29", "1.37")
    check_schemas(manifests, versions)


def check_schemas(manifests: Manifests, versions: Iterable[str]) -> None:
    known = [each for each in manifests.values() if each["kind"] not in CUSTOM_KINDS]
    for manifest, version in itertools.product(known, versions):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_manifests_fit_every_version_between() -> None:
    check_schemas(render(EVERYTHING), KUBERNETES_VERSIONS[1:-1])


def test_selectors_find_the_pods_and_no_others(manifests: Manifests) -> None:
    labels = manifests["deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        manifests["deployment"]["spec"]["selector"]["matchLabels"],
        manifests["service"]["spec"]["selector"],
    ]
    for name, key in (("poddisruptionbudget", "selector"), ("networkpolicy", "podSelector")):
        if name in manifests:
            selectors.append(manifests[name]["spec"][key]["matchLabels"])
    spreads = pod_spec(manifests).get("topologySpreadConstraints", [])
    selectors += [spread["labelSelector"]["matchLabels"] for spread in spreads]
    for selector in selectors:
        assert selector.items() <= labels.items()
        if "tests/test-api" in manifests:
            others = manifests["tests/test-api"]["metadata"]["labels"]
            assert not selector.items() <= others.items()


def test_names_fit_in_dns_labels_and_carry_the_common_labels(manifests: Manifests) -> None:
    for manifest in manifests.values():
        metadata = manifest["metadata"]

        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", metadata["name"])
        assert metadata["labels"]["app.kubernetes.io/instance"] == "demo"


def test_ports_and_probes_meet(manifests: Manifests) -> None:
    container = server_of(manifests)
    (port,) = container["ports"]
    probes = [container[f"{name}Probe"] for name in ("startup", "liveness", "readiness")]

    assert port == {"name": "http", "containerPort": 8000, "protocol": "TCP"}
    assert {probe["httpGet"]["port"] for probe in probes} == {"http"}
    assert [probe["httpGet"]["path"] for probe in probes] == ["/readyz", "/livez", "/readyz"]
    assert all(probe["timeoutSeconds"] <= probe["periodSeconds"] + 1 for probe in probes)
    assert manifests["service"]["spec"]["ports"][0]["targetPort"] == "http"
    if "ingress" in manifests:
        (rule,) = manifests["ingress"]["spec"]["rules"]
        backend = rule["http"]["paths"][0]["backend"]["service"]
        assert backend == {
            "name": manifests["service"]["metadata"]["name"],
            "port": {"name": "http"},
        }


def test_pod_outlives_its_pause_and_its_drain(manifests: Manifests) -> None:
    command = server_of(manifests)["lifecycle"]["preStop"]["exec"]["command"]
    pause = re.fullmatch(r"import time; time\.sleep\((\d+)\)", command[-1])
    drain = float(manifests["configmap"]["data"]["SEQSERVE_DRAIN_SECONDS"])

    assert pause
    spare = pod_spec(manifests)["terminationGracePeriodSeconds"] - int(pause[1]) - drain
    assert 10 <= spare <= 11


def test_every_container_is_locked_down(manifests: Manifests) -> None:
    pods = [pod_spec(manifests)]
    pods += [manifests[name]["spec"] for name in ("tests/test-api",) if name in manifests]
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] >= 10000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        # A Service called seqserve would otherwise inject SEQSERVE_PORT=tcp://...
        assert pod["enableServiceLinks"] is False
        for container in pod["containers"] + pod.get("initContainers", []):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_every_mount_has_its_volume(manifests: Manifests) -> None:
    pod = pod_spec(manifests)
    volumes = {volume["name"] for volume in pod["volumes"]}
    containers = pod["containers"] + pod.get("initContainers", [])
    mounts = {mount["name"] for container in containers for mount in container["volumeMounts"]}

    assert mounts == volumes


def test_every_setting_is_one_that_the_server_takes(
    manifests: Manifests, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = manifests["configmap"]["data"]
    environment = [variable["name"] for variable in server_of(manifests).get("env", [])]
    for name, value in data.items():
        monkeypatch.setenv(name, value)

    assert unknown_variables([*data, *environment]) == []
    assert Settings().log_format == "json"


def to_bytes(quantity: str) -> float:
    number, unit = re.fullmatch(r"([0-9.]+)(\w*)", quantity).groups()  # type: ignore[union-attr]
    return float(number) * {"": 1, "Mi": 2**20, "Gi": 2**30}[unit]


def to_cpus(quantity: str) -> float:
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def test_requests_fit_in_limits_and_are_enough_to_run(manifests: Manifests) -> None:
    resources = server_of(manifests)["resources"]
    asked, most = resources["requests"], resources.get("limits") or {}

    assert to_bytes(asked["memory"]) >= 2**30
    assert ("nvidia.com/gpu" in asked) == ("nvidia.com/gpu" in most)
    assert to_cpus(asked["cpu"]) <= to_cpus(most.get("cpu", "inf"))
    assert to_bytes(asked["memory"]) <= to_bytes(most.get("memory", "1024Gi"))


@pytest.mark.parametrize(
    "resource", ["nvidia.com/gpu", "nvidia.com/mig-1g.10gb", "nvidia.com/gpu.shared"]
)
def test_gpu_release_asks_for_one_gpu_and_can_roll_on_a_full_node(resource: str) -> None:
    values = read_values("values-gpu.yaml")
    manifests = render(values | {"gpu": values["gpu"] | {"resource": resource}})
    pod, container = pod_spec(manifests), server_of(manifests)

    assert container["resources"]["limits"][resource] == 1
    assert container["resources"]["requests"][resource] == 1
    assert container["image"] == "seqserve:gpu"
    assert pod["runtimeClassName"] == "nvidia"
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod[
        "tolerations"
    ]
    assert manifests["configmap"]["data"]["SEQSERVE_DEVICE"] == "cuda"
    assert manifests["deployment"]["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
    }


def test_cpu_release_rolls_without_a_gap() -> None:
    spec = render()["deployment"]["spec"]

    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert "nvidia" not in json.dumps(spec)


def test_only_an_autoscaler_sets_the_replicas_where_there_is_one() -> None:
    production = render(read_values("values-production.yaml"))
    scaler = production["horizontalpodautoscaler"]["spec"]

    assert render({"replicaCount": 4})["deployment"]["spec"]["replicas"] == 4
    assert "replicas" not in production["deployment"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == production["deployment"]["metadata"]["name"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (3, 20)
    assert [metric["type"] for metric in scaler["metrics"]] == ["Resource"]


def test_adapter_metrics_are_those_that_its_rules_name() -> None:
    metrics = render(COMBINATIONS["adapter"])["horizontalpodautoscaler"]["spec"]["metrics"]
    rules = yaml.safe_load((CHART / "files/prometheus-adapter.yaml").read_text(encoding="utf-8"))
    targets = {
        metric["pods"]["metric"]["name"]: metric["pods"]["target"]["averageValue"]
        for metric in metrics
        if metric["type"] == "Pods"
    }

    assert targets == {"seqserve_queue_seconds": "50m", "seqserve_shed_ratio": "10m"}
    assert {rule["name"]["as"] for rule in rules["rules"]["custom"]} == set(targets)


def test_keda_asks_for_the_series_of_this_release_alone() -> None:
    manifests = render(COMBINATIONS["keda"])
    triggers = manifests["scaledobject"]["spec"]["triggers"]
    queries = [
        trigger["metadata"]["query"] for trigger in triggers if trigger["type"] == "prometheus"
    ]

    assert "horizontalpodautoscaler" not in manifests
    assert len(queries) == 2
    assert all('job="demo-seqserve",namespace="test"' in query for query in queries)
    assert all(isinstance(trigger["metadata"].get("value", ""), str) for trigger in triggers)


def test_monitor_and_rules_go_by_the_same_job() -> None:
    manifests = render(EVERYTHING)
    service = manifests["service"]["metadata"]
    monitor = manifests["servicemonitor"]["spec"]
    rules = json.dumps(manifests["prometheusrule"]["spec"])

    assert monitor["selector"]["matchLabels"].items() <= service["labels"].items()
    assert monitor["namespaceSelector"]["matchNames"] == ["test"]
    assert monitor["endpoints"][0]["port"] == manifests["service"]["spec"]["ports"][0]["name"]
    assert f'job=\\"{service["name"]}\\",namespace=\\"test\\"' in rules
    assert 'job=\\"seqserve\\"' not in rules


def test_dashboard_arrives_whole() -> None:
    data = render(EVERYTHING)["configmap-dashboard"]["data"]["seqserve.json"]
    file = (CHART / "dashboards/seqserve.json").read_text(encoding="utf-8")

    assert json.loads(data) == json.loads(file)


def test_network_policy_lets_in_who_is_named_and_nothing_out() -> None:
    fenced = render({"networkPolicy": {"enabled": True}})["networkpolicy"]["spec"]
    (rule,) = render(EVERYTHING)["networkpolicy"]["spec"]["ingress"]

    assert fenced["policyTypes"] == ["Ingress", "Egress"]
    assert fenced["egress"] == []
    assert len(rule["from"]) == 3
    assert rule["ports"] == [{"port": "http", "protocol": "TCP"}]


def test_keys_come_from_the_secret() -> None:
    manifests = render({"apiKeys": {"secretName": "keys"}})
    (variable,) = server_of(manifests)["env"]
    (tested,) = manifests["tests/test-api"]["spec"]["containers"][0]["env"]

    assert variable["name"] == "SEQSERVE_API_KEYS"
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "keys", "key": "api-keys"}
    assert tested["valueFrom"] == variable["valueFrom"]


@pytest.mark.parametrize(
    "values",
    [
        {"settings": {"max_batch_size": 8}},
        {"models": {"source": "http", "http": {"archives": ARCHIVES}}},
        {"image": {"tag": "2"}},
    ],
)
def test_changed_values_roll_the_pods(values: dict[str, Any]) -> None:
    def template(values: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = render(values)["deployment"]["spec"]["template"]
        return found

    assert template(values) != template({})
    assert template({}) == template({"replicaCount": 7})


def test_numbers_reach_the_server_as_it_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"max_body_bytes": 2097152, "drain_seconds": 2.5, "max_batch_size": 32}
    data = render({"settings": values})["configmap"]["data"]
    for name, value in data.items():
        monkeypatch.setenv(name, value)

    assert data["SEQSERVE_MAX_BODY_BYTES"] == "2097152"
    assert Settings().model_dump(include=set(values)) == values


def test_schema_knows_every_setting_of_the_server() -> None:
    written = json.loads(SCHEMA.read_text(encoding="utf-8"))["properties"]["settings"]

    assert written == describe_settings(), "run `make chart-schema`"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"replicas": 2}, r"additional properties 'replicas' not allowed"),
        ({"settings": {"max_bacth_size": 8}}, r"/settings.*'max_bacth_size' not allowed"),
        ({"settings": {"max_batch_size": 0}}, r"/settings/max_batch_size.*got 0, want 1"),
        ({"settings": {"log_format": "xml"}}, r"/settings/log_format.*one of 'text', 'json'"),
        ({"settings": {"port": 9000}}, r"settings\.port is not set here: .*service\.port"),
        ({"settings": {"host": "127.0.0.1"}}, r"settings\.host 127\.0\.0\.1 .*0\.0\.0\.0, or ::"),
        ({"settings": {"unix_socket": "/tmp/s"}}, r"settings\.unix_socket is not set here"),
        ({"settings": {"certfile": "/tls/a"}}, r"settings\.certfile .*ingress\.tls"),
        ({"service": {"ipFamilies": ["ipv6"]}}, r"/service/ipFamilies/0.*'IPv4', 'IPv6'"),
        ({"settings": {"api_keys": "open"}}, r"settings\.api_keys .*apiKeys\.secretName"),
        ({"service": {"port": 0}}, r"/service/port.*got 0, want 1"),
        ({"models": {"source": "s3"}}, r"/models/source.*one of 'image', 'claim', 'oci', 'http'"),
        ({"models": {"source": "claim"}}, r"needs models\.claim\.name"),
        ({"models": {"source": "oci"}}, r"needs models\.oci\.image"),
        ({"models": {"source": "http"}}, r"needs models\.http\.archives"),
        (
            {"models": {"source": "http", "http": {"archives": [{"url": "https://a"}]}}},
            r"/models/http/archives/0.*missing property 'sha256'",
        ),
        (
            COMBINATIONS["archives-elsewhere"] | {"networkPolicy": {"enabled": True}},
            r"needs a rule in networkPolicy\.egress",
        ),
        (
            {"settings": {"otlp_endpoint": "http://a"}, "networkPolicy": {"enabled": True}},
            r"otlp_endpoint needs a rule in networkPolicy\.egress",
        ),
        ({"settings": {"otlp_endpoint": "a:4317"}}, r"/settings/otlp_endpoint.*pattern"),
        ({"autoscaling": {"enabled": True, "minReplicas": 11}}, r"\(11\) is above .*\(10\)"),
        ({"autoscaling": {"enabled": True, "source": "keda"}}, r"autoscaling\.prometheusAddress"),
        (
            {"podDisruptionBudget": {"enabled": True, "minAvailable": 1}},
            r"one of minAvailable and maxUnavailable",
        ),
        (
            {"podDisruptionBudget": {"enabled": True, "minAvailable": 1, "maxUnavailable": ""}},
            r"minAvailable \(1\) leaves none of 1 pods to evict",
        ),
        ({"ingress": {"enabled": True}}, r"needs ingress\.hosts"),
        ({"gpu": {"enabled": True}, "settings": {"device": "cpu"}}, r"would leave it idle"),
        ({"gpu": {"enabled": True, "resource": "gpu"}}, r"/gpu/resource.*does not match pattern"),
        ({"resources": {"limits": {"memory": "2 GB"}}}, r"/resources/limits/memory"),
    ],
)
def test_wrong_values_are_refused_in_words_that_help(values: dict[str, Any], message: str) -> None:
    with pytest.raises(helm_python.HelmError, match=message):
        render(values)


def test_pods_of_ipv6_clusters_are_reached() -> None:
    service = {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"]}
    manifests = render({"settings": {"host": "::"}, "service": service})
    assert manifests["configmap"]["data"]["SEQSERVE_HOST"] == "::"
    assert manifests["service"]["spec"].items() >= service.items()
    assert not {"ipFamilyPolicy", "ipFamilies"} & set(render()["service"]["spec"])


def test_reserved_settings_are_settings() -> None:
    assert set(RESERVED) <= set(Settings.model_fields)


def test_startup_may_take_as_long_as_it_says() -> None:
    probe = server_of(render({"startupSeconds": 301}))["startupProbe"]

    assert probe["failureThreshold"] == math.ceil(301 / probe["periodSeconds"])


def test_chart_names_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    assert chart["appVersion"] == project["version"]
