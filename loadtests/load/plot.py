"""A load test as a picture: throughput, latency and where it goes against the offered load."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.load.recorder import LATE, LATENCY, STAGES
from models.pictures import save_picture

PERCENTILES = ("p50", "p95", "p99")


def plot_load(results: Mapping[str, Any], path: Path) -> None:
    """Draws a run.

    Args:
        results: as in the JSON file: unknown figures are None.
        path: of a PNG file.
    """
    figure = Figure(figsize=(12.8, 8.4), layout="constrained")
    (throughput, latency), (stages, course) = figure.subplots(2, 2)
    is_open = results["about"]["options"]["loop"] == "open"
    label = "offered load, requests per second" if is_open else "users"
    draw_throughput(throughput, results, is_open)
    draw_latency(latency, results)
    draw_stages(stages, results)
    for axis in (throughput, latency, stages):
        mark_knee(axis, results)
        finish(axis, label)
    draw_course(course, results["seconds"])
    finish(course, "seconds")
    about = results["about"]
    figure.suptitle(f"{about['cpu_model']}, {about['num_cpus']} processors, {about['date']}")
    save_picture(figure, path, dpi=110)


def list_loads(results: Mapping[str, Any]) -> list[float]:
    return [step["load"] for step in results["steps"]]


def choose_line(results: Mapping[str, Any]) -> str:
    """Joins the points if they make a curve; a spike returns to its first load."""
    loads = list_loads(results)
    return "-" if loads == sorted(set(loads)) else ""


def draw_throughput(axis: Axes, results: Mapping[str, Any], is_open: bool) -> None:
    loads, steps = list_loads(results), results["steps"]
    line = choose_line(results)
    offered = [step["offered"] for step in steps]
    if is_open:
        axis.plot(loads, offered, line, marker=".", color="0.7", label="offered")
    answered = [step["throughput"] for step in steps]
    axis.plot(loads, answered, line, marker="o", label="answered well")
    bad = [step["errors"] * step["offered"] for step in steps]
    axis.plot(loads, bad, line, marker="x", color="C3", label="refused or failed")
    axis.set_title("Throughput")
    axis.set_ylabel("requests per second")


def draw_latency(axis: Axes, results: Mapping[str, Any]) -> None:
    for key in PERCENTILES:
        draw_line(axis, results, LATENCY, key, key)
    axis.set_yscale("log")
    axis.set_title("Latency, from when a request was due")
    axis.set_ylabel("milliseconds")


def draw_stages(axis: Axes, results: Mapping[str, Any]) -> None:
    for name in (*STAGES, LATE):
        draw_line(axis, results, name, "mean", name if name != LATE else "late at the client")
    axis.set_yscale("log")
    axis.set_title("Where the time goes (Server-Timing), means")
    axis.set_ylabel("milliseconds")


def draw_line(axis: Axes, results: Mapping[str, Any], name: str, key: str, label: str) -> None:
    points = [
        (load, step["times"][name][key])
        for load, step in zip(list_loads(results), results["steps"], strict=True)
        if step["times"][name][key] is not None
    ]
    if points:
        axis.plot(*zip(*points, strict=True), choose_line(results), marker="o", label=label)


def draw_course(axis: Axes, seconds: Sequence[Mapping[str, Any]]) -> None:
    places = [each["second"] for each in seconds]
    axis.plot(places, [each["offered"] for each in seconds], color="0.7", label="offered/s")
    axis.plot(places, [each["throughput"] for each in seconds], color="C0", label="answered/s")
    axis.set_ylabel("requests per second")
    axis.set_title("The run in time")
    right = axis.twinx()
    slowest = [(each["second"], each["p99"]) for each in seconds if each["p99"] is not None]
    if slowest:
        right.plot(*zip(*slowest, strict=True), color="C1", linewidth=0.8)
    right.set_yscale("log")
    right.set_ylabel("p99, milliseconds", color="C1")


def mark_knee(axis: Axes, results: Mapping[str, Any]) -> None:
    loads = list_loads(results)
    for key, color in (("knee", "C2"), ("saturation", "C3")):
        if results[key] is not None:
            axis.axvline(loads[results[key]], color=color, linestyle=":", label=key)


def finish(axis: Axes, label: str) -> None:
    axis.set_xlabel(label)
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")
