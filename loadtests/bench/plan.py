"""What to measure and for how long, and what all parts share: models, texts, a scratch folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from loadtests.bench.lengths import draw_lengths, make_texts
from loadtests.bench.shape_model import ShapeModel, make_shape
from service.repository.manifest import Precision
from service.text.tokenizer import Tokenizer

PARTS = ("engine", "http", "open", "overload", "translation")
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")


@dataclass(frozen=True)
class Plan:
    """How much of what.

    Attributes:
        num_rounds: each figure is the median of so many.
        seconds: of one turn in closed loop; the other parts take their times from it.
        levels: numbers of connections in closed loop.
        timeout_ms: deadline that overload's requests carry; 0 for none.
        num_texts: different ones to classify; the engine alone takes half of them.
        num_sentences: different ones that the engine alone translates.
    """

    parts: tuple[str, ...]
    num_rounds: int = 3
    seconds: int = 3
    levels: tuple[int, ...] = (1, 8, 32, 128)
    timeout_ms: int = 0
    num_texts: int = 512
    num_sentences: int = 96

    def shorten(self) -> "Plan":
        """A smoke: everything runs once, and no figure is worth anything."""
        return replace(self, num_rounds=1, seconds=1, num_texts=128, num_sentences=32)

    @property
    def open_seconds(self) -> float:
        return self.seconds + 1.0

    @property
    def overload_seconds(self) -> float:
        return 20.0 if self.seconds >= 3 else 4.0 * self.seconds

    @property
    def translation_seconds(self) -> float:
        return 1.5 * self.seconds


@dataclass(frozen=True)
class Stage:
    """What the parts share.

    Attributes:
        folder: scratch.
        shapes: the shape model by precision.
        lengths: token counts of the texts, in order.
        bodies: a file of classify bodies, one a line.
    """

    plan: Plan
    folder: Path
    shapes: Mapping[Precision, ShapeModel]
    lengths: list[int]
    bodies: Path

    @property
    def probe(self) -> str:
        """One body."""
        with self.bodies.open(encoding="utf-8") as stream:
            return stream.readline()


def make_stage(plan: Plan, folder: Path) -> Stage:
    """Makes the shape model and its texts; translation needs neither."""
    lengths: list[int] = draw_lengths(plan.num_texts).tolist()
    bodies = folder / "classify.jsonl"
    if plan.parts == ("translation",):
        return Stage(plan, folder, {}, lengths, bodies)
    print("making the shape model", flush=True)
    shapes = {precision: make_shape(folder / precision, precision) for precision in PRECISIONS}
    texts = make_texts(Tokenizer.load(shapes["fp32"].tokenizer), lengths)
    lines = [json.dumps({"inputs": text}) + "\n" for text in texts]
    bodies.write_text("".join(lines), encoding="utf-8")
    return Stage(plan, folder, shapes, lengths, bodies)
