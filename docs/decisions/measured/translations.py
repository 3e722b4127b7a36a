"""Texts that the scripts on translation translate, and the figures of their translations."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from export.quality.everyday import has_words, read_direction
from models.training.data.sources import Row, limit_rows, read_split
from models.training.metrics import translation_figures
from service.answers import TranslateOptions
from service.cli import find_deadline
from service.engine.runtime.device import Device
from service.pipeline.translation.translate import TranslatePipeline
from service.repository.loader import load_model
from service.repository.model import LoadedModel
from service.repository.registry import Registry
from service.repository.versions import newest_version
from service.settings import Settings
from service.telemetry.metrics import Metrics

REPOSITORY = Path("models/repository")
SETTINGS = Settings(workers=1, max_queue_wait_ms=60_000, max_standing_wait_ms=60_000)
NUM_TEXTS = 10  # in a request


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


@asynccontextmanager
async def open_registry() -> AsyncIterator[Registry]:
    """The models of the repository, as the service has them."""
    registry = Registry(SETTINGS, Metrics(CollectorRegistry()))
    await registry.start()
    yield registry
    await registry.stop()


def make_pipeline(registry: Registry, **settings: object) -> TranslatePipeline:
    changed = SETTINGS.model_copy(update=settings)
    return TranslatePipeline(registry, changed, Metrics(CollectorRegistry()))


async def translate(
    pipeline: TranslatePipeline, texts: Sequence[str], options: TranslateOptions
) -> list[str]:
    """The translations of texts, some of which are in a request together."""
    translations: list[str] = []
    for start in range(0, len(texts), NUM_TEXTS):
        asked = texts[start : start + NUM_TEXTS]
        answer = await pipeline.translate(asked, options, find_deadline(SETTINGS))
        translations += [each.text for each in answer.translations]
    return translations


def find_chrf(references: Sequence[str], target: str, texts: Sequence[str]) -> float:
    figures = translation_figures(texts, references, target)
    return next(figure.value for figure in figures if figure.metric == "chrf")


def find_share(expected: Sequence[str], texts: Sequence[str]) -> float:
    """Of the texts with the words expected in each, in percent."""
    hits = [has_words(text, words) for text, words in zip(texts, expected, strict=True)]
    return 100.0 * sum(hits) / len(hits)
