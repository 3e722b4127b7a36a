"""What going on with several translations into the pivot language gives and costs.

    python docs/decisions/measured/pivot.py DATA SOURCE

Validation rows of SOURCE, a set of Korean and German sentences below the folder DATA, and the
everyday sentences are translated both ways through English by the models of the repository. Prints
the report and writes pivot.json: chrF, the share of everyday sentences with the expected words, and
milliseconds of processor time for each text.
"""

import asyncio
import json
import os
import sys
import time
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from docs.decisions.measured.reranking import Judge, find_chrf, find_share
from export.quality.everyday import read_direction
from loadtests.measuring.machine import read_commit, read_cpu_model
from models.training.data.sources import limit_rows, read_split
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
    registry: Registry, settings: Settings, texts: list[str], pair: tuple[str, str], judge: Judge
) -> dict[str, dict[str, float]]:
    """The figure by the number of translations that go on, and its milliseconds for each text."""
    found = {}
    for number in NUM_CANDIDATES:
        asked = settings.model_copy(update={"pivot_candidates": number})
        pipeline = TranslatePipeline(registry, asked, Metrics(CollectorRegistry()))
        translations: list[str] = []
        started = time.process_time()
        for start in range(0, len(texts), NUM_TEXTS):
            answer = await pipeline.translate(
                texts[start : start + NUM_TEXTS], TranslateOptions(*pair), find_deadline(settings)
            )
            translations += [each.text for each in answer.translations]
        seconds = time.process_time() - started
        found[str(number)] = {
            "figure": round(judge(translations), 1),
            "ms_per_text": round(1e3 * seconds / len(texts), 2),
        }
    return found


async def measure(settings: Settings, data: Path, path: str) -> dict[str, object]:
    """Both directions, by what was translated."""
    rows = limit_rows(read_split(data / path, "valid", LANGUAGES), NUM_ROWS)
    registry = Registry(settings, Metrics(CollectorRegistry()))
    await registry.start()
    report: dict[str, object] = {}
    for side, source in enumerate(LANGUAGES):
        pair = (source, LANGUAGES[1 - side])
        name = "-".join(pair)
        references = [row[1 - side] for row in rows]
        report[f"{path} {name}, chrF"] = await compare(
            registry,
            settings,
            [row[side] for row in rows],
            pair,
            partial(find_chrf, references, pair[1]),
        )
        sentences = read_direction(*pair)
        report[f"everyday sentences {name}, %"] = await compare(
            registry,
            settings,
            [text for text, _ in sentences],
            pair,
            partial(find_share, [words for _, words in sentences]),
        )
    await registry.stop()
    return report


def main() -> None:
    data, path = sys.argv[1:]
    report: dict[str, object] = {
        "commit": read_commit(),
        "cpu_model": read_cpu_model(),
        "load_average": os.getloadavg(),
    }
    settings = Settings(workers=1, max_queue_wait_ms=60_000, max_standing_wait_ms=60_000)
    report |= asyncio.run(measure(settings, Path(data), path))
    text = json.dumps(report, indent=1)
    Path(__file__).with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
