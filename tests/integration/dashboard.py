"""What the dashboard asks Prometheus for, with its variables filled."""

import json
from typing import Any

from tests.integration.charts import CHART

DASHBOARD = CHART / "dashboards" / "seqserve.json"
VARIABLES = {"namespace": "test", "job": "seqserve", "model": ".*", "__rate_interval": "10s"}


def read_targets() -> list[tuple[str, dict[str, Any]]]:
    """Each target, with the title of its panel."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [
        (panel["title"], target)
        for panel in panels
        if panel["type"] != "row"
        for target in panel["targets"]
    ]


def fill_variables(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(f"${name}", value)
    assert "$" not in expression
    return expression
