"""What going on with several translations into the pivot language gives and costs.

    python docs/decisions/measured/pivot.py DATA SOURCE

Validation rows of SOURCE, a set of Korean and German sentences below the folder DATA, and the
everyday sentences are translated both ways through English by the models of the repository. Prints
the report and writes pivot.json: chrF, the share of everyday sentences with the expected words, and
milliseconds of processor time for each text.
"""

import asyncio
import sys
import time

from prometheus_client import CollectorRegistry

from docs.decisions.measured.report import write_report
from docs.decisions.measured.translations import Sample, make_samples, read_rows
from service.answers import TranslateOptions
from service.cli import find_deadline
from service.pipeline.translation.translate import TranslatePipeline
from service.repository.registry import Registry
from service.settings import Settings
from service.telemetry.metrics import Metrics

NUM_CANDIDATES = (1, 2, 3, 4)
NUM_ROWS = 400
NUM_TEXTS = 10  # in a request
LANGUAGES = ("ko", "de")


async def compare(
    registry: Registry, settings: Settings, sample: Sample
) -> dict[str, dict[str, float]]:
    """The figure by the number of translations that go on, and its milliseconds for each text."""
    options = TranslateOptions(sample.source, sample.target)
    found = {}
    for number in NUM_CANDIDATES:
        asked = settings.model_copy(update={"pivot_candidates": number})
        pipeline = TranslatePipeline(registry, asked, Metrics(CollectorRegistry()))
        translations: list[str] = []
        started = time.process_time()
        for start in range(0, len(sample.texts), NUM_TEXTS):
            texts = sample.texts[start : start + NUM_TEXTS]
            answer = await pipeline.translate(texts, options, find_deadline(settings))
            translations += [each.text for each in answer.translations]
        seconds = time.process_time() - started
        found[str(number)] = sample.describe(translations, seconds)
    return found


async def measure(data: str, path: str) -> dict[str, object]:
    """Both directions, by what was translated."""
    settings = Settings(workers=1, max_queue_wait_ms=60_000, max_standing_wait_ms=60_000)
    rows = read_rows(data, path, LANGUAGES, NUM_ROWS)
    registry = Registry(settings, Metrics(CollectorRegistry()))
    await registry.start()
    report: dict[str, object] = {
        sample.name: await compare(registry, settings, sample)
        for sample in make_samples(path, rows, (LANGUAGES, LANGUAGES[::-1]))
    }
    await registry.stop()
    return report


if __name__ == "__main__":
    write_report(__file__, lambda: asyncio.run(measure(*sys.argv[1:])))
