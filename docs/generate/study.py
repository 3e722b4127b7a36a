"""The figures of the study of cells, from docs/study/results.json."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from docs.generate.tables import format_table

RESULTS = "docs/study/results.json"
STEPS_BACK = (1, 5, 10, 20, 50, 99)
WHEN = {"start": "at the start", "trained": "after training"}


def read_study(root: Path) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((root / RESULTS).read_text(encoding="utf-8"))
    return results


def describe_gradients(root: Path) -> str:
    """The gradient some steps back as a share of the last state's."""
    rows = read_study(root)["gradients"]
    body = [
        [WHEN[row["when"]], row["cell"], *choose_shares(row["norms"])]
        for when in WHEN
        for row in rows
        if row["when"] == when
    ]
    return format_table(("", "cell", *(f"{steps} back" for steps in STEPS_BACK)), body)


def choose_shares(norms: Sequence[float]) -> list[str]:
    return [f"{norms[steps] / norms[0]:.2g}" for steps in STEPS_BACK]


def describe_recall(root: Path) -> str:
    """The share of symbols recalled at each distance."""
    rows = read_study(root)["recall"]
    body = [
        [row["cell"], row["longest_learnt"], *map(show_percent, row["accuracy"].values())]
        for row in rows
    ]
    headings = ("cell", "longest learnt", *(f"{steps} steps" for steps in rows[0]["accuracy"]))
    return format_table(headings, body)


def describe_clipping(root: Path) -> str:
    """Training with gradients that explode, clipped and not."""
    headings = ("cell", "clipped at", "updates", "largest gradient", "first loss", "last loss")
    return format_table(headings, map(describe_run, read_study(root)["clipping"]))


def describe_run(row: Mapping[str, Any]) -> list[object]:
    last = row["last_loss"]
    return [
        row["cell"],
        "never" if row["clip_norm"] is None else f"{row['clip_norm']:g}",
        row["num_updates"],
        f"{row['largest_norm']:.2g}",
        row["first_loss"],
        "not a number" if last is None else f"{last:.3g}",
    ]


def describe_truncation(root: Path) -> str:
    """Recall by the number of steps that the gradient goes back."""
    body = [
        [row["chunk"], "yes" if row["reaches_symbol"] else "no", show_percent(row["accuracy"])]
        for row in read_study(root)["truncation"]
    ]
    return format_table(("steps back", "reaches the symbol", "recalled"), body)


def describe_language(root: Path) -> str:
    """Loss of a character-level language model per cell."""
    headings = ("cell", "recurrent weights", "nats per character", "bits", "processor seconds")
    body = [
        [
            row["cell"],
            f"{row['num_parameters']:,}",
            f"{row['loss_nats']:.3f}",
            f"{row['loss_bits']:.3f}",
            f"{row['seconds']:.0f}",
        ]
        for row in read_study(root)["language"]
    ]
    return format_table(headings, body)


def show_percent(share: float) -> str:
    return f"{100 * share:.0f} %"
