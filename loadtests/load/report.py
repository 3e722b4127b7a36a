"""A load test's figures as tables on the terminal, a JSON file, and a page with the picture."""

import argparse
import base64
import html
import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from loadtests.load.curve import (
    SATURATED_SHARE,
    Span,
    describe_cell,
    describe_seconds,
    describe_steps,
    find_capacity,
    find_drift,
    find_knee,
    find_saturation,
    judge_run,
)
from loadtests.load.recorder import FIRST, LATE, LATENCY, Recorder
from loadtests.load.slo import Slo
from loadtests.measuring.tables import format_cell, format_table

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{padding:.2rem .7rem;"
    "text-align:right;border-bottom:1px solid #ccc}th:first-child,td:first-child{text-align:left}"
    "img{max-width:100%}tr.knee{background:#e7f3e7}.no{color:#b00}.yes{color:#070}"
)
# Processors that other programs may take before the figures are called disturbed.
MAX_OTHERS = 0.15
LIMITS = (
    "Latency counts from when a request was due. Client and service share this machine if the "
    "service's address is a loopback one: then the client takes processor time from the service "
    "near saturation, network time is missing, and `late`, how long after its time a request was "
    "really sent, is part of the latency."
)


def describe_load(
    about: Mapping[str, Any],
    recorder: Recorder,
    spans: Sequence[Span],
    settle: float,
    slo: Slo | None,
) -> dict[str, Any]:
    """All figures of a run, for `write_load` and `print_load`."""
    steps = describe_steps(recorder, spans, settle)
    whole = spans[-1].end - spans[0].start
    starts = {second for second, _ in recorder.cells}
    loads = [span.load for span in spans]
    is_curve = len(loads) > 1 and loads == sorted(set(loads))
    return {
        # a whole number: floats are written with six digits
        "about": {**about, "started_ms": round(1000 * spans[0].start)},
        "steps": steps,
        "total": describe_cell(recorder.sum_up(starts), whole),
        "kinds": {
            kind: describe_cell(recorder.sum_up(starts, kind), whole) for kind in recorder.kinds
        },
        "knee": find_knee(steps) if is_curve else None,
        "saturation": find_saturation(steps) if is_curve else None,
        "drift": find_drift(steps) if len(set(loads)) == 1 else None,
        "slo": [verdict.as_json() for verdict in judge_run(slo, recorder, spans)] if slo else [],
        "capacity": find_capacity(slo, recorder, spans) if slo and is_curve else None,
        "seconds": describe_seconds(recorder, spans),
    }


def tabulate_steps(results: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    """Makes a row for each step; with processors if the server was watched."""
    steps = results["steps"]
    headings = ["load", "offered/s", "answered/s", "errors", "p50 ms", "p95 ms", "p99 ms"]
    headings += ["queue mean", "inference mean", "late p99"]
    has_cpus = any("server_cpus" in step for step in steps)
    if has_cpus:
        headings += ["server CPUs", "client CPUs", "other CPUs", "CPU ms/request"]
    rows: list[list[object]] = []
    for step in steps:
        times = step["times"]
        row = [str(step["load"]), step["offered"], step["throughput"], show_share(step["errors"])]
        row += [times[LATENCY][key] for key in ("p50", "p95", "p99")]
        row += [times["queue"]["mean"], times["inference"]["mean"], times[LATE]["p99"]]
        if has_cpus:
            row += [step[f"{name}_cpus"] for name in ("server", "client", "other")]
            row += [step["cpu_ms"]]
        rows.append(row)
    return headings, rows


def tabulate_kinds(results: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    headings = ["kind", "requests", "errors", "p50 ms", "p95 ms", "p99 ms", "queue p99"]
    headings += ["inference mean", "first text p50", "first text p99"]
    rows: list[list[object]] = []
    for kind, found in results["kinds"].items():
        times = found["times"]
        row = [kind, found["num_requests"], show_share(found["errors"])]
        row += [times[LATENCY][key] for key in ("p50", "p95", "p99")]
        row += [times["queue"]["p99"], times["inference"]["mean"]]
        row += [times[FIRST]["p50"], times[FIRST]["p99"]]
        rows.append(row)
    return headings, rows


def show_share(share: float) -> str:
    return f"{100 * share:.2f}%"


def tabulate_costs(results: Mapping[str, Any]) -> tuple[list[str], list[list[object]]]:
    """Makes a row for each kind with its cost; only `make load` measures it."""
    keys = ("throughput", "server_cpus", "cpu_ms", "per_core")
    rows: list[list[object]] = [
        [kind, *(found[key] for key in keys)] for kind, found in results["costs"].items()
    ]
    return [
        "kind alone",
        "answered/s",
        "server CPUs",
        "CPU ms/request",
        "requests/s per core",
    ], rows


def list_sections(results: Mapping[str, Any]) -> list[tuple[str, list[str], list[list[object]]]]:
    sections = [("By load", *tabulate_steps(results)), ("By kind", *tabulate_kinds(results))]
    if results.get("costs"):
        sections.append(("Cost of each kind", *tabulate_costs(results)))
    if results["slo"]:
        rows: list[list[object]] = [
            [each["name"], each["limit"], each["value"], "yes" if each["is_met"] else "NO"]
            for each in results["slo"]
        ]
        sections.append(("Objectives", ["objective", "limit", "value", "met"], rows))
    return sections


def list_findings(results: Mapping[str, Any]) -> list[str]:
    """Sentences on what the curve says."""
    steps, found = results["steps"], []
    if (knee := results["knee"]) is not None:
        step = steps[knee]
        found.append(
            f"Knee: load {step['load']}, {step['throughput']:.0f} answers per second, p99 "
            f"{format_cell(step['times'][LATENCY]['p99'])} ms (most throughput / mean latency)."
        )
    if (saturation := results["saturation"]) is not None:
        best = max(step["throughput"] for step in steps)
        found.append(
            f"Saturation: from load {steps[saturation]['load']} on less than "
            f"{SATURATED_SHARE:.0%} of what is offered is answered; at most {best:.0f} per second."
        )
    elif knee is not None:
        found.append("Saturation: not reached; give a higher --peak.")
    if results.get("drift") is not None:
        found.append(
            f"Drift: p99 of the last third of the run is {results['drift']:.2f} times that of the "
            "first third."
        )
    if results["capacity"] is not None:
        found.append(f"Capacity: every step up to load {results['capacity']} met the objectives.")
    return found + list_doubts(results)


def list_doubts(results: Mapping[str, Any]) -> list[str]:
    """Sentences on what disturbed the run or is missing from it."""
    steps, found = results["steps"], list[str]()
    others = [each.get("other_cpus", 0.0) for each in (*steps, *results.get("costs", {}).values())]
    if (worst := max(others, default=0.0)) > MAX_OTHERS:
        found.append(
            f"Other programs took up to {worst:.2f} processors meanwhile: do not trust these "
            "figures, measure again on a quiet machine."
        )
    if unanswered := results["total"]["num_unanswered"]:
        found.append(f"{unanswered} requests were never answered; they count as errors.")
    return found


def print_load(results: Mapping[str, Any]) -> None:
    for title, headings, rows in list_sections(results):
        print(f"\n## {title}\n\n{format_table(headings, rows)}")
    print()
    for sentence in list_findings(results):
        print(sentence)
    print(flush=True)


def write_page(path: Path) -> list[Path]:
    """Writes PATH.html and, if matplotlib is installed, PATH.png out of PATH.json."""
    results = json.loads(add_suffix(path, ".json").read_text(encoding="utf-8"))
    picture, page = add_suffix(path, ".png"), add_suffix(path, ".html")
    if find_spec("matplotlib") and find_spec("loadtests.load.plot"):
        # not at the top: pods have neither
        from loadtests.load.plot import plot_load

        plot_load(results, picture)
    else:
        picture.unlink(missing_ok=True)  # of an earlier run
    has_picture = picture.exists()
    page.write_text(make_page(results, picture if has_picture else None), encoding="utf-8")
    return [page, picture] if has_picture else [page]


def add_suffix(path: Path, suffix: str) -> Path:
    """Appends; a dot in the name does not begin a suffix: load-1.5 becomes load-1.5.json."""
    return path.with_name(path.name + suffix)


def make_page(results: Mapping[str, Any], picture: Path | None) -> str:
    """Makes one HTML file that needs no other."""
    parts = ["<!doctype html><html lang=en><meta charset=utf-8><title>Load test</title>"]
    parts += [f"<style>{STYLE}</style><h1>Load test of seqserve</h1>"]
    parts += [f"<p>{html.escape(sentence)}</p>" for sentence in list_findings(results)]
    if picture:
        encoded = base64.b64encode(picture.read_bytes()).decode()
        parts.append(f'<img alt="the curves" src="data:image/png;base64,{encoded}">')
    for title, headings, rows in list_sections(results):
        marked = results["knee"] if title == "By load" else None
        parts.append(f"<h2>{html.escape(title)}</h2>{make_html_table(headings, rows, marked)}")
    parts.append(f"<p>{html.escape(LIMITS)}</p><h2>The run</h2>")
    about = [[name, str(value)] for name, value in flatten(results["about"])]
    parts.append(make_html_table(["", ""], about, None) + "</html>\n")
    return "\n".join(parts)


def make_html_table(
    headings: Sequence[str], rows: Sequence[Sequence[object]], marked: int | None
) -> str:
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    lines = [f"<table><tr>{head}</tr>"]
    for index, row in enumerate(rows):
        cells = "".join(f"<td>{html.escape(format_cell(cell))}</td>" for cell in row)
        lines.append(f"<tr{' class=knee' if index == marked else ''}>{cells}</tr>")
    return "\n".join([*lines, "</table>"])


def flatten(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += [(f"{name}.{inner}", each) for inner, each in value.items()]
        else:
            found.append((name, value))
    return found


def main() -> None:
    """Makes the page and the picture of a run again."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("path", type=Path, help="of the JSON file, without .json")
    for written in write_page(parser.parse_args().path):
        print(f"wrote {written}")


if __name__ == "__main__":
    main()
