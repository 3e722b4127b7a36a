"""What to measure and for how long, and what all parts share: models, texts, a scratch folder."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from loadtests.bench.workloads.lengths import draw_lengths, make_texts
from loadtests.bench.workloads.shape_model import ShapeModel, make_shape
from service.repository.manifest import Precision
from service.text.tokenizer import Tokenizer

PARTS = (
    *("engine", "decoder", "peer", "http", "open", "overload"),
    *("topology", "translation", "generation"),
)
OVER_HTTP = ("http", "open")
WITH_WRK = (*OVER_HTTP, "topology")
SHAPED = ("engine", *WITH_WRK, "overload")
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")


@dataclass(frozen=True)
class BenchPlan:
    """How much of what.

    Attributes:
        num_rounds: each figure is the median of this many.
        seconds: of one turn in closed loop; the other parts take their times from it.
        levels: numbers of connections in closed loop.
        timeout_ms: deadline that overload's requests carry; 0 for none.
        num_texts: different ones to classify; the engine alone takes half of them.
        num_sentences: different ones that the engine alone translates.
        num_served_sentences: different ones of each kind that servers translate.
        maximum_levels: numbers of connections at which a server's maximum is looked for.
        num_contests: precisions and beams in which translation is compared.
        num_front_ends: processes that take requests, with which topologies are compared.
        num_overload_connections: made before overload begins; more are made when all are busy.
        is_smoke: servers are not warmed up, since the figures do not matter.
    """

    parts: tuple[str, ...]
    num_rounds: int = 3
    seconds: int = 3
    levels: tuple[int, ...] = (1, 8, 32, 128)
    timeout_ms: int = 0
    num_texts: int = 512
    num_sentences: int = 96
    num_served_sentences: int = 512
    maximum_levels: tuple[int, ...] = (32, 128)
    num_contests: int = 3
    num_front_ends: tuple[int, ...] = (1, 2, 4)
    num_overload_connections: int = 2000
    is_smoke: bool = False

    def shorten(self) -> "BenchPlan":
        """Plans one short round of everything, whose figures mean little."""
        return replace(self, num_rounds=1, seconds=1, num_texts=128, num_sentences=32)

    def shorten_to_smoke(self) -> "BenchPlan":
        """Plans the least of every part that shows whether it runs."""
        return replace(
            self.shorten(),
            levels=self.levels[:1],
            num_texts=16,
            num_sentences=4,
            num_served_sentences=32,
            maximum_levels=self.maximum_levels[:1],
            num_contests=1,
            num_front_ends=self.num_front_ends[:1],
            num_overload_connections=100,
            is_smoke=True,
        )

    def leave_out(self, parts: Collection[str]) -> "BenchPlan":
        return replace(self, parts=tuple(part for part in self.parts if part not in parts))

    @property
    def open_seconds(self) -> float:
        return 1.0 if self.is_smoke else self.seconds + 1.0

    @property
    def overload_seconds(self) -> float:
        if self.is_smoke:
            return 1.0
        return 20.0 if self.seconds >= 3 else 4.0 * self.seconds

    @property
    def overload_closed_seconds(self) -> float:
        return 1.0 if self.is_smoke else 2.0 * self.seconds

    @property
    def overload_warm_up_seconds(self) -> float:
        return 1.0 if self.is_smoke else 2.0

    @property
    def num_texts_per_row(self) -> int:
        """Texts that a row of the generator gets, one after the other."""
        return 1 if self.is_smoke else 4

    @property
    def translation_seconds(self) -> float:
        return 1.0 if self.is_smoke else 1.5 * self.seconds

    @property
    def translation_warm_up_seconds(self) -> float:
        return 0.3 if self.is_smoke else 1.0


@dataclass(frozen=True)
class BenchContext:
    """What the parts share.

    Attributes:
        folder: scratch.
        shapes: the shape model by precision.
        lengths: token counts of the texts, in order.
        bodies: a file of classify bodies, one a line.
    """

    plan: BenchPlan
    folder: Path
    shapes: Mapping[Precision, ShapeModel]
    lengths: list[int]
    bodies: Path

    @property
    def probe(self) -> str:
        """One body."""
        with self.bodies.open(encoding="utf-8") as stream:
            return stream.readline()


def make_context(plan: BenchPlan, folder: Path) -> BenchContext:
    """Makes the shape model and its texts, unless only parts that translate are run."""
    lengths: list[int] = draw_lengths(plan.num_texts).tolist()
    bodies = folder / "classify.jsonl"
    if not set(plan.parts) & set(SHAPED):
        return BenchContext(plan, folder, {}, lengths, bodies)
    print("making the shape model", flush=True)
    shapes = {precision: make_shape(folder / precision, precision) for precision in PRECISIONS}
    texts = make_texts(Tokenizer.load(shapes["fp32"].tokenizer), lengths)
    lines = [json.dumps({"inputs": text}) + "\n" for text in texts]
    bodies.write_text("".join(lines), encoding="utf-8")
    return BenchContext(plan, folder, shapes, lengths, bodies)
