"""What a price on words that a translator makes up gives.

    python docs/decisions/measured/lexicon.py DATA MODEL=SOURCE MODEL=SOURCE...

Of each source below the folder DATA, validation rows are translated both ways by the newest version
of a model, and the hypotheses of its beam are ranked at several prices. Prints the report and
writes lexicon.json: chrF, the share of translations with a word that the model has neither learnt
from nor copied, and the share of texts all of whose hypotheses have such a word ("any").
"""

import math
import sys
from collections.abc import Sequence

from docs.decisions.measured.report import write_report
from docs.decisions.measured.translations import find_chrf, load_models
from service.engine.batch import UNKNOWN_PRICE, Hypothesis, SearchOptions, TokenSequence
from service.engine.runner import run_sequences
from service.repository.model import LoadedModel, new_token_limit

PRICES = (0.0, 0.1, 0.2, 0.4)
NUM_ROWS = 500
BEAM_SIZE = 4


def rank(
    model: LoadedModel, texts: Sequence[str], source: str, target: str
) -> list[list[Hypothesis]]:
    """The hypotheses of each text, read back and with their unknown words counted."""
    ids = model.manifest.ids
    start_id = ids.start_ids[target]
    sequences = []
    for input_ids in model.encode(texts, start_id):
        limit = new_token_limit(input_ids, model.manifest)
        search = SearchOptions(BEAM_SIZE, limit, source_start_id=ids.neutral_ids[source])
        sequences.append(TokenSequence(input_ids, 0.0, math.inf, search, start_id))
    found = []
    for result in run_sequences(model.runner, sequences):
        assert isinstance(result, list)
        found.append([one for one in result if one.read_back is not None] or result)
    return found


def compare(
    model: LoadedModel,
    found: Sequence[Sequence[Hypothesis]],
    references: Sequence[str],
    target: str,
) -> dict[str, dict[str, float]]:
    """Translations at each price, and whether any hypothesis is without unknown words."""
    report = {}
    for price in PRICES:
        best = [
            max(each, key=lambda one: one.merit + (UNKNOWN_PRICE - price) * one.num_unknown)
            for each in found
        ]
        texts = [model.tokenizer.decode(one.token_ids) for one in best]
        report[str(price)] = {
            "chrf": round(find_chrf(references, target, texts), 2),
            "with_unknown_words": round(
                100.0 * sum(one.num_unknown > 0 for one in best) / len(best), 1
            ),
        }
    without_choice = sum(all(one.num_unknown for one in each) for each in found)
    report["any"] = {"with_unknown_words": round(100.0 * without_choice / len(found), 1)}
    return report


def measure() -> dict[str, object]:
    data, *pairs = sys.argv[1:]
    report: dict[str, object] = {}
    for model, path, rows in load_models(data, pairs, NUM_ROWS):
        for side, (source, target) in enumerate(model.manifest.pairs):
            found = rank(model, [row[side] for row in rows], source, target)
            references = [row[1 - side] for row in rows]
            report[f"{path} {source}-{target}"] = compare(model, found, references, target)
    return report


if __name__ == "__main__":
    write_report(__file__, measure)
