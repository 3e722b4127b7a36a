"""What every stage is given, and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.engine.runtime.device import Device, resolve_device
from service.repository.loader import PREFERENCE
from service.repository.manifest import Manifest, Precision, read_manifest
from service.repository.versions import find_versions

PAIRS = "pairs"
"""The folder of `prepare`, beside the models: sentences and their translations."""


@dataclass(frozen=True)
class Trial:
    """One run of a stage.

    Attributes:
        folder: of `prepare`: `models`, a model repository, and `pairs`.
        scratch: of the stage.
        seconds: that it may take.
        is_rehearsal: on the CPU and over a fake device, with the least of everything.
        num_front_ends: HTTP processes to measure with.
    """

    folder: Path
    scratch: Path
    seconds: float
    is_rehearsal: bool
    num_front_ends: tuple[int, ...] = (1,)

    @property
    def device(self) -> Device:
        """The device under test.

        Raises:
            DeviceUnavailable: there is no GPU, or no runtime for it.
        """
        return resolve_device("cpu" if self.is_rehearsal else "cuda")

    @property
    def models_dir(self) -> Path:
        return self.folder / "models"

    @property
    def versions(self) -> list[Path]:
        """The folders of the newest versions."""
        return find_versions(self.models_dir)

    def find_task(self, task: str) -> list[Path]:
        """The versions of a task."""
        return [folder for folder in self.versions if read_manifest(folder).task == task]

    def scale(self, measured: int, rehearsed: int) -> int:
        """A number of texts, rows or rounds."""
        return rehearsed if self.is_rehearsal else measured

    def share_time(self, num_shares: int) -> float:
        """Seconds for something that repeats itself; none in a rehearsal, which does the least."""
        return 0.0 if self.is_rehearsal else self.seconds / num_shares

    def scale_all(self, measured: Sequence[int], rehearsed: Sequence[int]) -> Sequence[int]:
        """Numbers of rows."""
        return rehearsed if self.is_rehearsal else measured


@dataclass
class Findings:
    """What a stage found.

    Attributes:
        figures: for the results file, by name.
        faults: why it did not pass, a sentence each.
        headline: the figures of the table.
    """

    figures: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    headline: str = ""


def list_precisions(manifest: Manifest) -> list[Precision]:
    """The precisions of a version that a GPU may run in."""
    return [each for each in PREFERENCE["cuda"] if each in manifest.precisions]
