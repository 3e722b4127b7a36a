"""Draws the gradients and the recall of the study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.pictures import save_picture

GRADIENTS, RECALL = "gradients.png", "recall.png"
DPI = 80
# Below this, float32 has no digits left beside the gradients of other states.
SMALLEST = 1e-12


def draw_gradients(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Norms over distance, as shares of the nearest state's, at the start and after training."""
    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    for axis, when in zip(figure.subplots(1, 2, sharey=True), ("start", "trained"), strict=True):
        for row in rows:
            if row["when"] == when:
                shares = [max(SMALLEST, norm / row["norms"][0]) for norm in row["norms"]]
                axis.plot(range(len(shares)), shares, label=row["cell"])
        axis.set_yscale("log")
        axis.set_xlabel("steps back")
        finish(axis, "At the start" if when == "start" else "After training")
    figure.axes[0].set_ylabel("gradient, 1 = last state")
    save_picture(figure, path, dpi=DPI)


def draw_recall(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Accuracy over distance."""
    figure = Figure(figsize=(6.0, 3.6), layout="constrained")
    axis = figure.subplots()
    for row in rows:
        distances = [int(distance) for distance in row["accuracy"]]
        axis.plot(distances, list(row["accuracy"].values()), marker=".", label=row["cell"])
    axis.set_xscale("log")
    axis.set_xticks(distances, map(str, distances))
    axis.set_xticks([], minor=True)
    axis.set_ylim(0.0, 1.05)
    axis.set_xlabel("steps between symbol and question")
    axis.set_ylabel("share recalled")
    finish(axis, "Recall")
    save_picture(figure, path, dpi=DPI)


def finish(axis: Axes, title: str) -> None:
    axis.set_title(title)
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")
