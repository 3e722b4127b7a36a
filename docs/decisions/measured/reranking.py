"""What a wider beam and reranking give and cost.

    python docs/decisions/measured/reranking.py DATA MODEL=SOURCE MODEL=SOURCE...

Of each source below the folder DATA, validation rows are translated both ways by the newest version
of a model, and so are the everyday sentences. Prints the report and writes reranking.json: chrF,
the share of everyday sentences with the expected words, and milliseconds of processor time for each
text.
"""

import sys
import time

from docs.decisions.measured.report import write_report
from docs.decisions.measured.translations import Sample, load_models, make_samples
from export.quality.translate import translate_texts
from service.answers import TranslateOptions
from service.repository.model import LoadedModel

BEAMS = (2, 3, 4, 6)
NUM_ROWS = 400


def compare(model: LoadedModel, sample: Sample) -> dict[str, dict[str, float]]:
    """The figure of each way of searching, and its milliseconds for each text."""
    pair = (sample.source, sample.target)
    found = {}
    for beam_size in BEAMS:
        for rerank in (False, True):
            options = TranslateOptions(*pair, rerank=rerank)
            started = time.process_time()
            translations = translate_texts(model, sample.texts, *pair, beam_size, options)
            seconds = time.process_time() - started
            name = f"beam {beam_size}{', reranked' if rerank else ''}"
            found[name] = sample.describe(translations, seconds)
    return found


def measure() -> dict[str, object]:
    data, *pairs = sys.argv[1:]
    return {
        sample.name: compare(model, sample)
        for model, path, rows in load_models(data, pairs, NUM_ROWS)
        for sample in make_samples(path, rows, model.manifest.pairs)
    }


if __name__ == "__main__":
    write_report(__file__, measure)
