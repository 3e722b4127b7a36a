"""The chart, rendered by helm's own engine."""

from pathlib import Path
from typing import Any

import helm_python
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm" / "seqserve"
VALUES_FILES = ("values-production.yaml", "values-gpu.yaml")

# Manifests by template: "deployment", "tests/test-api", ...
Manifests = dict[str, dict[str, Any]]


def render(
    values: dict[str, Any] | None = None, name: str = "demo", chart_dir: Path = CHART
) -> Manifests:
    """The manifests of a release in the namespace `test`.

    Raises:
        helm_python.HelmError: the values are refused; the message says why.
    """
    with helm_python.Chart.load(chart_dir) as chart:
        rendered = chart.render(values or {}, name=name, namespace="test")
    manifests = {}
    for path, text in rendered.items():
        stem = path.removeprefix(f"{chart_dir.name}/templates/").removesuffix(".yaml")
        documents = [] if path.endswith(".txt") else list(yaml.safe_load_all(text))
        if any(documents):
            (manifests[stem],) = documents
    return manifests


def read_values(name: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CHART / name).read_text(encoding="utf-8"))
    return values


def pod_spec(manifests: Manifests) -> dict[str, Any]:
    spec: dict[str, Any] = manifests["deployment"]["spec"]["template"]["spec"]
    return spec


def server_of(manifests: Manifests) -> dict[str, Any]:
    (container,) = pod_spec(manifests)["containers"]
    found: dict[str, Any] = container
    return found
