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
from random import Random

from docs.decisions.measured.report import write_report
from docs.decisions.measured.rules import compare, find_rows
from docs.decisions.measured.translations import make_pipeline, open_registry
from models.synthesis.pairs import PATTERNS, read_grammar
from models.synthesis.sentences import FOLDER, read_sentences, write_sentences
from models.training.data.sources import Row
from service.answers import TranslateOptions
from service.text.masking.korean_names import find_korean_names
from service.text.masking.latin_names import find_latin_names

FINDERS = ("find_korean_names", "find_latin_names")
WRITTEN = FOLDER / "names_and_recipes.toml"
LANGUAGE_PAIRS = (("en", "ko"), ("en", "de"), ("ko", "de"))
MAX_CHARACTERS = 250  # of a text, since news are long


def list_rows(data: str, sets: Sequence[str]) -> Iterator[tuple[str, str, str, Row]]:
    """The kind of each row, its languages, and its texts."""
    for language, row in find_rows(data, sets):
        yield ("held-out rows", "en", language, row)
    lists = read_grammar(PATTERNS).lists
    for pair in LANGUAGE_PAIRS:
        for row in write_sentences(read_sentences(WRITTEN), lists, pair, 1, Random(1)):
            yield ("written sentences", *pair, row)


def has_names(text: str, source: str, target: str) -> bool:
    finders = (find_korean_names, find_latin_names)
    return any(any(finder(text, source, target)) for finder in finders)


async def measure(data: str, *sets: str) -> dict[str, object]:
    """Each kind of texts in each direction."""
    found: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for kind, first, second, row in list_rows(data, sets):
        for source, target, pair in ((first, second, row), (second, first, row[::-1])):
            if len(pair[0]) <= MAX_CHARACTERS and has_names(pair[0], source, target):
                found[kind, source, target].append(pair)
    async with open_registry() as registry:
        pipeline = make_pipeline(registry)
        return {
            f"{kind} {source}-{target}": await compare(
                pipeline, rows, TranslateOptions(source, target), FINDERS
            )
            for (kind, source, target), rows in found.items()
        }


if __name__ == "__main__":
    write_report(__file__, lambda: asyncio.run(measure(*sys.argv[1:])))
