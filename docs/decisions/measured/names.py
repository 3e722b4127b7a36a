"""What spelling people's names by rule gives.

    python docs/decisions/measured/names.py DATA SOURCE=LANGUAGE SOURCE=LANGUAGE...

Validation and test rows of English and another LANGUAGE, of each SOURCE below the folder DATA, and
the sentences with names in models/synthesis, are translated both ways by the models of the
repository where a name is found in them, with and without the rules for names. Prints the report
and writes names.json: the number of texts, and chrF.
"""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from unittest.mock import patch

from prometheus_client import CollectorRegistry

from docs.decisions.measured.report import write_report
from docs.decisions.measured.translations import find_chrf
from models.synthesis.pairs import PATTERNS, read_grammar
from models.synthesis.sentences import FOLDER, read_sentences, write_sentences
from models.training.data.sources import Row, read_split
from service.answers import TranslateOptions
from service.cli import find_deadline
from service.pipeline.translation.translate import TranslatePipeline
from service.repository.registry import Registry
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.text.masking import conversions
from service.text.masking.korean_names import find_korean_names
from service.text.masking.latin_names import find_latin_names

SPLITS = ("valid", "test", "devtest")
WRITTEN = FOLDER / "names_and_recipes.toml"
LANGUAGE_PAIRS = (("en", "ko"), ("en", "de"), ("ko", "de"))
MAX_CHARACTERS = 250  # of a text, since news are long
NUM_TEXTS = 10  # in a request


def find_rows(data: Path, sets: Sequence[str]) -> Iterator[tuple[str, str, str, Row]]:
    """The kind of each row, its languages, and its texts."""
    for each in sets:
        path, language = each.split("=")
        for split in SPLITS:
            try:
                rows = read_split(data / path, split, ("en", language))
            except OSError:
                continue
            yield from (("held-out rows", "en", language, row) for row in rows)
    lists = read_grammar(PATTERNS).lists
    for pair in LANGUAGE_PAIRS:
        for row in write_sentences(read_sentences(WRITTEN), lists, pair, 1, Random(1)):
            yield ("written sentences", *pair, row)


def has_names(text: str, source: str, target: str) -> bool:
    finders = (find_korean_names, find_latin_names)
    return any(any(finder(text, source, target)) for finder in finders)


async def translate(
    pipeline: TranslatePipeline, settings: Settings, texts: Sequence[str], options: TranslateOptions
) -> list[str]:
    translations: list[str] = []
    for start in range(0, len(texts), NUM_TEXTS):
        asked = texts[start : start + NUM_TEXTS]
        answer = await pipeline.translate(asked, options, find_deadline(settings))
        translations += [each.text for each in answer.translations]
    return translations


async def measure(data: str, *sets: str) -> dict[str, object]:
    """Each kind of texts in each direction."""
    found: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for kind, first, second, row in find_rows(Path(data), sets):
        for source, target, pair in ((first, second, row), (second, first, row[::-1])):
            if len(pair[0]) <= MAX_CHARACTERS and has_names(pair[0], source, target):
                found[kind, source, target].append(pair)
    settings = Settings(workers=1, max_queue_wait_ms=60_000, max_standing_wait_ms=60_000)
    metrics = Metrics(CollectorRegistry())
    registry = Registry(settings, metrics)
    await registry.start()
    pipeline = TranslatePipeline(registry, settings, metrics)
    report: dict[str, object] = {}
    for (kind, source, target), rows in found.items():
        texts, references = ([row[side] for row in rows] for side in (0, 1))
        options = TranslateOptions(source, target)
        ruled = await translate(pipeline, settings, texts, options)
        with (
            patch.object(conversions, "find_korean_names", lambda *_: ()),
            patch.object(conversions, "find_latin_names", lambda *_: ()),
        ):
            alone = await translate(pipeline, settings, texts, options)
        report[f"{kind} {source}-{target}"] = {
            "texts": len(texts),
            "without": round(find_chrf(references, target, alone), 1),
            "with": round(find_chrf(references, target, ruled), 1),
        }
    await registry.stop()
    return report


if __name__ == "__main__":
    write_report(__file__, lambda: asyncio.run(measure(*sys.argv[1:])))
