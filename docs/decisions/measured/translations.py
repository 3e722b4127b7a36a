"""Texts that the scripts on translation translate, and the figures of their translations."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from export.quality.everyday import has_words, read_direction
from models.training.data.sources import Row, limit_rows, read_split
from models.training.metrics import translation_figures
from service.engine.runtime.device import Device
from service.repository.loader import load_model
from service.repository.model import LoadedModel
from service.repository.versions import newest_version

REPOSITORY = Path("models/repository")


@dataclass(frozen=True)
class Sample:
    """Texts of one kind and direction; `judge` gives the figure of their translations."""

    name: str
    source: str
    target: str
    texts: list[str]
    judge: Callable[[Sequence[str]], float]

    def describe(self, translations: Sequence[str], seconds: float) -> dict[str, float]:
        """The figure, and the milliseconds for each text."""
        return {
            "figure": round(self.judge(translations), 1),
            "ms_per_text": round(1e3 * seconds / len(self.texts), 2),
        }


def make_samples(
    path: str, rows: Sequence[Row], pairs: Sequence[tuple[str, str]]
) -> Iterator[Sample]:
    """For each direction the rows, judged by chrF, and the everyday sentences, by their words."""
    for side, (source, target) in enumerate(pairs):
        texts, references = ([row[each] for row in rows] for each in (side, 1 - side))
        judge = partial(find_chrf, references, target)
        yield Sample(f"{path} {source}-{target}, chrF", source, target, texts, judge)
        sentences = read_direction(source, target)
        texts, expected = ([each[index] for each in sentences] for index in (0, 1))
        judge = partial(find_share, expected)
        yield Sample(f"everyday sentences {source}-{target}, %", source, target, texts, judge)


def load_models(
    data: str, pairs: Sequence[str], num_rows: int
) -> Iterator[tuple[LoadedModel, str, list[Row]]]:
    """The newest versions of models, each with a source and validation rows of it.

    Args:
        data: folder of the sources.
        pairs: `MODEL=SOURCE` each.
        num_rows: of a source, at most.
    """
    for pair in pairs:
        name, path = pair.split("=")
        model = load_model(newest_version(REPOSITORY, name), Device("cpu"), num_threads=1)
        yield model, path, read_rows(data, path, model.manifest.languages, num_rows)


def read_rows(data: str, path: str, languages: Sequence[str], num_rows: int) -> list[Row]:
    return limit_rows(read_split(Path(data) / path, "valid", languages), num_rows)


def find_chrf(references: Sequence[str], target: str, texts: Sequence[str]) -> float:
    figures = translation_figures(texts, references, target)
    return next(figure.value for figure in figures if figure.metric == "chrf")


def find_share(expected: Sequence[str], texts: Sequence[str]) -> float:
    """Of the texts with the words expected in each, in percent."""
    hits = [has_words(text, words) for text, words in zip(texts, expected, strict=True)]
    return 100.0 * sum(hits) / len(hits)
