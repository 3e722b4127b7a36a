"""Markdown tables."""

from collections.abc import Iterable, Sequence


def format_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """One line per row; the first column to the left, numbers to the right."""
    body = [list(row) for row in rows]
    rules = [align_column([row[index] for row in body]) for index in range(len(headings))]
    lines = [headings, rules, *body]
    return "\n".join("| " + " | ".join(map(format_cell, line)) + " |" for line in lines)


def align_column(cells: Sequence[object]) -> str:
    is_numeric = bool(cells) and all(
        cell is None or isinstance(cell, int | float) for cell in cells
    )
    return "--:" if is_numeric else "---"


def format_cell(cell: object) -> str:
    """Numbers with about three digits that matter; a pipe would end the cell, `<` open a tag."""
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return str(cell).replace("|", "\\|").replace("<", "&lt;")
