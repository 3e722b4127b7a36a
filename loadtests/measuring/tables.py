"""Markdown tables for terminals, and JSON for files."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def format_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table whose columns line up; the first to the left, the others to the right."""
    cells = [list(headings), *([format_cell(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(align(row, widths)) + " |" for row in cells]
    rule = [("-" * width) if index == 0 else "-" * (width - 1) + ":" for index, width in
            enumerate(widths)]  # fmt: skip
    return "\n".join([lines[0], "| " + " | ".join(rule) + " |", *lines[1:]])


def align(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        cell.ljust(width) if index == 0 else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def format_cell(value: object) -> str:
    """Numbers with about three digits that matter."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value):
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write_json(results: Mapping[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(lay_out(clean(results)) + "\n", encoding="utf-8")


def lay_out(value: Any, line: str = "\n") -> str:
    """Writes JSON with a line for each list and object that holds no further ones.

    Args:
        value: as `clean` returns it.
        line: what begins a line at this depth.
    """
    if not has_parts(value):
        return json.dumps(value, ensure_ascii=False)
    inner = line + " "
    if isinstance(value, list):
        parts = [lay_out(each, inner) for each in value]
        return f"[{inner}{f',{inner}'.join(parts)}{line}]"
    parts = [
        f"{json.dumps(key, ensure_ascii=False)}: {lay_out(each, inner)}"
        for key, each in value.items()
    ]
    return f"{{{inner}{f',{inner}'.join(parts)}{line}}}"


def has_parts(value: Any) -> bool:
    inside = value.values() if isinstance(value, dict) else value
    return isinstance(value, dict | list) and any(isinstance(x, dict | list) for x in inside)


def clean(value: Any) -> Any:
    """Prepares a value for JSON: keys become text, floats short, infinite ones null."""
    if isinstance(value, Mapping):
        return {str(key): clean(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [clean(each) for each in value]
    if hasattr(value, "as_json"):
        return clean(value.as_json())
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
