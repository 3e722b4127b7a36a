"""The figures of one run as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.bench.contestants.servers import FLOOR, LITSERVE, PLAIN, TORCHSERVE, ours_name
from loadtests.measuring.figures import median
from models.pictures import save_picture

LATENCIES = ("p50_ms", "p99_ms", "p99.9_ms")
# One colour for each server in all panels.
COLORS = {
    name: f"C{index}"
    for index, name in enumerate(
        (FLOOR, PLAIN, LITSERVE, ours_name("fp32"), ours_name("int8"), TORCHSERVE)
    )
}


def plot_results(results: Mapping[str, Any], path: Path) -> None:
    """Draws the parts that were run."""
    parts = [draw for key, draw in PANELS if key in results]
    if not parts:
        return
    num_columns = min(2, len(parts))
    num_rows = -(-len(parts) // num_columns)
    figure = Figure(figsize=(6.4 * num_columns, 4.2 * num_rows), layout="constrained")
    axes = figure.subplots(num_rows, num_columns, squeeze=False)
    for axis, draw in zip(axes.flat, parts, strict=False):
        draw(axis, results)
    for axis in list(axes.flat)[len(parts) :]:
        axis.set_visible(False)
    about = results["about"]
    figure.suptitle(f"{about['cpu_model']}, {about['num_cpus']} processors, {about['date']}")
    save_picture(figure, path, dpi=110)


def draw_engine(axis: Axes, results: Mapping[str, Any]) -> None:
    draw_lines(axis, results["engine"]["batch_size"])
    finish(axis, "Classifier 256/256, one thread", "batch size", "texts per second")


def draw_decoder(axis: Axes, results: Mapping[str, Any]) -> None:
    draw_lines(axis, results["decoder"]["rows"])
    finish(axis, "Translation, one thread, greedy", "rows", "output tokens per second")


def draw_generation(axis: Axes, results: Mapping[str, Any]) -> None:
    draw_lines(axis, results["generation"]["rows"])
    finish(axis, results["generation"]["model"], "sequences at a time", "characters per second")


def draw_lines(axis: Axes, figures: Mapping[str, Sequence[float]]) -> None:
    """A line for each label of keys `label|x`."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for key, values in figures.items():
        label, _, x = key.rpartition("|")
        lines.setdefault(label.replace("|", ", "), []).append((int(x), median(values)))
    for label, points in lines.items():
        axis.plot(*zip(*points, strict=True), marker="o", label=label)
    scale_by_doubling(axis, [x for x, _ in next(iter(lines.values()))])


def draw_http(axis: Axes, results: Mapping[str, Any]) -> None:
    levels: list[int] = []
    for name, by_level in results["http"]["summary"].items():
        levels = [int(level) for level in by_level]  # text in a results file
        rates = [each["requests_per_second"] for each in by_level.values()]
        axis.plot(levels, rates, marker="o", label=name, color=COLORS[name])
    scale_by_doubling(axis, levels)
    axis.set_yscale("log")
    finish(axis, "Over HTTP, closed loop", "connections", "requests per second")


def draw_open(axis: Axes, results: Mapping[str, Any]) -> None:
    for name, each in results["open"]["summary"].items():
        figures = [each[key] for key in LATENCIES]
        axis.plot(["p50", "p99", "p99.9"], figures, marker="o", label=name, color=COLORS[name])
    axis.set_yscale("log")
    finish(axis, "Open loop at 60 % of own maximum", "percentile", "milliseconds")


def draw_overload(axis: Axes, results: Mapping[str, Any]) -> None:
    found = results["overload"]
    keys = ("maximum_per_second", "offered_per_second", "goodput_per_second")
    draw_bars(
        axis,
        ["maximum", "offered", "goodput"],
        {name: [each[key] for key in keys] for name, each in found.items()},
    )
    finish(axis, "Overload", "", "requests per second")


def draw_translation(axis: Axes, results: Mapping[str, Any]) -> None:
    summary = results["translation"]["summary"]
    servers = list(next(iter(summary.values())))
    draw_bars(
        axis,
        list(summary),
        {name: [each[name]["tokens_per_second"] for each in summary.values()] for name in servers},
    )
    finish(axis, "Translation over HTTP, 32 connections", "", "output tokens per second")


def draw_short(axis: Axes, results: Mapping[str, Any]) -> None:
    summary = results["translation"]["summary"]
    servers = list(next(iter(summary.values())))
    draw_bars(
        axis,
        list(summary),
        {name: [each[name]["short_p50_ms"] for each in summary.values()] for name in servers},
    )
    finish(axis, "Short sentences among long ones", "", "p50, milliseconds")


def draw_bars(axis: Axes, labels: Sequence[str], groups: Mapping[str, Sequence[float]]) -> None:
    width = 0.8 / max(1, len(groups))
    for index, (name, values) in enumerate(groups.items()):
        places = [place + width * (index - (len(groups) - 1) / 2) for place in range(len(labels))]
        axis.bar(places, values, width, label=name, color=COLORS.get(name))
    axis.set_xticks(range(len(labels)), labels)


def scale_by_doubling(axis: Axes, places: Sequence[int]) -> None:
    axis.set_xscale("log", base=2)
    axis.set_xticks(places, [str(place) for place in places])


def finish(axis: Axes, title: str, x: str, y: str) -> None:
    axis.set_title(title)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")


PANELS = (
    ("engine", draw_engine),
    ("decoder", draw_decoder),
    ("http", draw_http),
    ("open", draw_open),
    ("overload", draw_overload),
    ("translation", draw_translation),
    ("translation", draw_short),
    ("generation", draw_generation),
)
