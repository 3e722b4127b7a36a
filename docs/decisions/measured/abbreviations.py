"""What reading abbreviations, chat words and days in full gives.

    python docs/decisions/measured/abbreviations.py DATA SOURCE=LANGUAGE SOURCE=LANGUAGE...

Validation and test rows of English and another LANGUAGE, of each SOURCE below the folder DATA, are
translated both ways by the models of the repository where the rule finds something in them, with
it and without. Prints the report and writes abbreviations.json: the number of texts, and chrF.
"""

import asyncio
import sys
from collections import defaultdict

from docs.decisions.measured.report import write_report
from docs.decisions.measured.rules import compare, find_rows
from docs.decisions.measured.translations import make_pipeline, open_registry
from models.training.data.sources import Row
from service.answers import TranslateOptions
from service.text.abbreviations import find_abbreviations
from service.text.masking.times.weekdays import find_single_weekdays, find_weekdays

FINDERS = ("find_abbreviations", "find_single_weekdays", "find_weekdays")
MAX_CHARACTERS = 250  # of a text, since news are long


def has_any(text: str, source: str, target: str) -> bool:
    return (
        any(find_abbreviations(text, source))
        or any(find_single_weekdays(text, source))
        or any(find_weekdays(text, source, target))
    )


async def measure(data: str, *sets: str) -> dict[str, object]:
    """Each direction."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for language, row in find_rows(data, sets):
        for source, target, pair in (("en", language, row), (language, "en", row[::-1])):
            if len(pair[0]) <= MAX_CHARACTERS and has_any(pair[0], source, target):
                found[source, target].append(pair)
    async with open_registry() as registry:
        pipeline = make_pipeline(registry)
        return {
            f"{source}-{target}": await compare(
                pipeline, rows, TranslateOptions(source, target), FINDERS
            )
            for (source, target), rows in found.items()
        }


if __name__ == "__main__":
    write_report(__file__, lambda: asyncio.run(measure(*sys.argv[1:])))
