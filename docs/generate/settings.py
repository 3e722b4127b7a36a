"""The settings of the server as tables, from the fields of `Settings`."""

from typing import Any

from docs.generate.tables import format_table
from service.settings import ENV_PREFIX, Settings

# A heading stands before the field that opens its group.
HEADINGS = {
    "host": "Address",
    "models_dir": "Models and device",
    "workers": "Processes and threads",
    "max_batch_size": "Batches",
    "max_queue_size": "Queues",
    "default_timeout_ms": "Deadlines",
    "max_body_bytes": "Sizes of requests",
    "max_beam_size": "Decoding",
    "max_tag_streams": "Tagging as text comes in",
    "default_task": "Routes",
    "api_keys": "Access",
    "shutdown_delay_ms": "Shutdown",
    "log_level": "Logs and traces",
}
COLUMNS = ("variable", "default", "allowed values", "meaning")


def describe_settings() -> str:
    """A table for each group of settings, in the order of the class."""
    schema = Settings.model_json_schema()["properties"]
    groups: dict[str, list[list[str]]] = {}
    heading = "Settings"
    for name, field in schema.items():
        heading = HEADINGS.get(name, heading)
        groups.setdefault(heading, []).append(describe_field(name, field))
    parts = [f"## {title}\n\n{format_table(COLUMNS, rows)}\n" for title, rows in groups.items()]
    return "\n" + "\n".join(parts)


def describe_field(name: str, field: dict[str, Any]) -> list[str]:
    return [
        f"`{ENV_PREFIX}{name.upper()}`",
        describe_default(field.get("default")),
        describe_values(field),
        field["description"],
    ]


def describe_default(value: object) -> str:
    return "none" if value in ("", [], ()) else f"`{value}`"


def describe_values(field: dict[str, Any]) -> str:
    """Choices or bounds, if the field has them; else its kind."""
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "minimum" in field:
        return f"{field['minimum']:,} to {field['maximum']:,}"
    if "pattern" in field:
        return "URL" if "http" in field["pattern"] else "as described"
    return "path" if field.get("format") == "path" else "text"
