"""Writes the server's settings into the chart's values.schema.json: `make chart-schema`.

A misspelt setting is then refused by helm, before a pod is.
"""

import json
from pathlib import Path
from typing import Any

from service.settings import Settings

SCHEMA = Path(__file__).parents[2] / "helm" / "seqserve" / "values.schema.json"
# The chart sets them, or they have a place of their own; templates/_checks.tpl says which.
RESERVED = ("port", "models_dir", "api_keys", "unix_socket", "certfile", "keyfile")
KEPT = ("type", "enum", "pattern", "minimum", "maximum")


def describe_settings() -> dict[str, Any]:
    """What `settings` may hold, with the bounds that the server has."""
    fields = Settings.model_json_schema()["properties"]
    properties = {
        name: {key: field[key] for key in KEPT if key in field}
        for name, field in fields.items()
        if name not in RESERVED
    }
    # Anything, so that templates/_checks.tpl can answer with the remedy.
    properties |= {name: {"description": "Not set here."} for name in RESERVED}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["drain_seconds"],
        "properties": properties,
    }


def write_schema() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    schema["properties"]["settings"] = describe_settings()
    SCHEMA.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_schema()
