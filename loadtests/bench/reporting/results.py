"""The figures of a run, on disk as soon as a part is done."""

import time
from pathlib import Path
from typing import Any

from loadtests.bench.reporting.goals import find_goals
from loadtests.measuring.tables import write_json


class ResultsFile:
    """Keeps what the parts measured.

    The file is written after every part, so that a part that fails late does not take the others
    with it.

    Args:
        path: of the JSON file.
        about: machine, versions and command.

    Attributes:
        figures: `about`, and what was measured by part.
    """

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self._path, self._started = path, time.monotonic()
        self.figures: dict[str, Any] = {"about": about}

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def add(self, part: str, found: dict[str, Any]) -> None:
        """Takes a part's figures and writes all there are."""
        self.figures[part] = found
        self.figures["about"]["seconds"] = self.seconds
        write_json(self.with_goals(), self._path)

    def with_goals(self) -> dict[str, Any]:
        return self.figures | {"goals": find_goals(self.figures)}
