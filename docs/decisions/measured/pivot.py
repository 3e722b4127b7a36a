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

from docs.decisions.measured.report import write_report
from docs.decisions.measured.translations import (
    Sample,
    make_pipeline,
    make_samples,
    open_registry,
    read_rows,
    translate,
)
from service.answers import TranslateOptions
from service.repository.registry import Registry

NUM_CANDIDATES = (1, 2, 3, 4)
NUM_ROWS = 400
LANGUAGES = ("ko", "de")


async def compare(registry: Registry, sample: Sample) -> dict[str, dict[str, float]]:
    """The figure by the number of translations that go on, and its milliseconds for each text."""
    options = TranslateOptions(sample.source, sample.target)
    found = {}
    for number in NUM_CANDIDATES:
        pipeline = make_pipeline(registry, pivot_candidates=number)
        started = time.process_time()
        translations = await translate(pipeline, sample.texts, options)
        seconds = time.process_time() - started
        found[str(number)] = sample.describe(translations, seconds)
    return found


async def measure(data: str, path: str) -> dict[str, object]:
    """Both directions, by what was translated."""
    rows = read_rows(data, path, LANGUAGES, NUM_ROWS)
    async with open_registry() as registry:
        return {
            sample.name: await compare(registry, sample)
            for sample in make_samples(path, rows, (LANGUAGES, LANGUAGES[::-1]))
        }


if __name__ == "__main__":
    write_report(__file__, lambda: asyncio.run(measure(*sys.argv[1:])))
