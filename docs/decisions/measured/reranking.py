"""What a wider beam and reranking give and cost.

    python docs/decisions/measured/reranking.py DATA MODEL=SOURCE MODEL=SOURCE...

Of each source below the folder DATA, validation rows are translated both ways by the newest version
of a model, and so are the everyday sentences. Prints the report and writes reranking.json: chrF,
the share of everyday sentences with the expected words, and milliseconds of processor time for each
text.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from export.quality.everyday import has_words, read_direction
from export.quality.translate import translate_texts
from loadtests.measuring.machine import read_commit, read_cpu_model
from models.training.data.sources import limit_rows, read_split
from models.training.metrics import translation_figures
from service.answers import TranslateOptions
from service.engine.runtime.device import Device
from service.repository.loader import load_model
from service.repository.model import LoadedModel
from service.repository.versions import newest_version

REPOSITORY = Path("models/repository")
BEAMS = (2, 3, 4, 6)
NUM_ROWS = 400

Judge = Callable[[list[str]], float]


def compare(
    model: LoadedModel, texts: Sequence[str], source: str, target: str, judge: Judge
) -> dict[str, dict[str, float]]:
    """The figure of each way of searching, and its milliseconds for each text."""
    found = {}
    for beam_size in BEAMS:
        for rerank in (False, True):
            options = TranslateOptions(source, target, rerank=rerank)
            started = time.process_time()
            translations = translate_texts(model, texts, source, target, beam_size, options)
            seconds = time.process_time() - started
            name = f"beam {beam_size}{', reranked' if rerank else ''}"
            found[name] = {
                "figure": round(judge(translations), 1),
                "ms_per_text": round(1e3 * seconds / len(texts), 2),
            }
    return found


def measure(model: LoadedModel, data: Path, path: str) -> dict[str, object]:
    """Both directions of a model, by what was translated."""
    rows = limit_rows(read_split(data / path, "valid", model.manifest.languages), NUM_ROWS)
    report: dict[str, object] = {}
    for side, (source, target) in enumerate(model.manifest.pairs):
        sentences = read_direction(source, target)
        judges = (
            partial(find_chrf, [row[1 - side] for row in rows], target),
            partial(find_share, [words for _, words in sentences]),
        )
        report[f"{path} {source}-{target}, chrF"] = compare(
            model, [row[side] for row in rows], source, target, judges[0]
        )
        report[f"everyday sentences {source}-{target}, %"] = compare(
            model, [text for text, _ in sentences], source, target, judges[1]
        )
    return report


def find_chrf(references: Sequence[str], target: str, texts: Sequence[str]) -> float:
    figures = translation_figures(texts, references, target)
    return next(figure.value for figure in figures if figure.metric == "chrf")


def find_share(expected: Sequence[str], texts: Sequence[str]) -> float:
    """Of the texts with the words expected in each, in percent."""
    hits = [has_words(text, words) for text, words in zip(texts, expected, strict=True)]
    return 100.0 * sum(hits) / len(hits)


def main() -> None:
    data, *pairs = sys.argv[1:]
    report: dict[str, object] = {
        "commit": read_commit(),
        "cpu_model": read_cpu_model(),
        "load_average": os.getloadavg(),
    }
    for pair in pairs:
        name, path = pair.split("=")
        model = load_model(newest_version(REPOSITORY, name), Device("cpu"), num_threads=1)
        report |= measure(model, Path(data), path)
    text = json.dumps(report, indent=1)
    Path(__file__).with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
