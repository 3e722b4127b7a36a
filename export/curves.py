"""Draws the training curves, `curves.png` beside the model card: loss and validation figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.pictures import save_picture
from models.training.trainer import HISTORY, read_history
from service.repository.manifest import HEADLINE_METRICS

MAX_LINES = 4  # of single data sets; with more, only their mean is drawn

Points = tuple[list[float], list[float]]


def draw_curves(run_folder: Path, path: Path) -> None:
    """Draws the epochs of a run; does nothing if the run has no history."""
    if not (run_folder / HISTORY).exists():
        return
    records = read_history(run_folder)
    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    losses.plot(*loss_points(records), marker=".")
    finish(losses, "Training loss", len(records))
    for name, points in score_lines(records).items():
        scores.plot(*points, marker="o", label=name)
    scores.legend(fontsize="small")
    finish(scores, "Validation", len(records))
    save_picture(figure, path, dpi=80)


def loss_points(records: Sequence[Mapping[str, Any]]) -> Points:
    """Places each stretch of an epoch at its middle; a record without stretches is one point."""
    places: list[float] = []
    values: list[float] = []
    for record in records:
        losses = record.get("losses") or [record["loss"]]
        for index, loss in enumerate(losses):
            places.append(record["epoch"] - 1 + (index + 0.5) / len(losses))
            values.append(loss)
    return places, values


def score_lines(records: Sequence[Mapping[str, Any]]) -> dict[str, Points]:
    """Returns the headline figure per set and direction, or the selection score if many."""
    endings = tuple(f" {metric}" for metric in HEADLINE_METRICS)
    names = [name for name in records[0] if name.endswith(endings)]
    if not 0 < len(names) <= MAX_LINES:
        names = ["score"]
    epochs = [float(record["epoch"]) for record in records]
    return {name: (epochs, [record[name] for record in records]) for name in names}


def finish(axis: Axes, title: str, num_epochs: int) -> None:
    axis.set_title(title)
    axis.set_xlabel("epoch")
    axis.set_xlim(0.0, num_epochs + 0.1)
    axis.grid(alpha=0.3)
