"""Writes what a script here measured as JSON beside it, with what it was measured on and of."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from loadtests.measuring.machine import read_commit, read_cpu_model


def write_report(script: str, measure: Callable[[], Mapping[str, object]]) -> None:
    """Measures, prints the report and writes it to the JSON file that is named like the script.

    Commit, machine and load are noted before anything is measured, so that the load is that of
    other programs.

    Args:
        script: path of the Python script.
        measure: returns the figures by name.
    """
    report = {
        "commit": read_commit(),
        "cpu_model": read_cpu_model(),
        "load_average": os.getloadavg(),
        **measure(),
    }
    text = json.dumps(report, indent=1)
    Path(script).with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    print(text)
