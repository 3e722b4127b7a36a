"""Texts of held-out rows that a rule applies to, and what the rule gives for them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from docs.decisions.measured.translations import find_chrf, translate
from models.training.data.sources import Row, read_split
from service.answers import TranslateOptions
from service.pipeline.translation.translate import TranslatePipeline
from service.text.masking import conversions

SPLITS = ("valid", "test", "devtest")


def find_rows(data: str, sets: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """The validation and test rows of sets of English and another language, as "SOURCE=LANGUAGE".

    Yields:
        The other language, and the row.
    """
    for each in sets:
        path, language = each.split("=")
        for split in SPLITS:
            try:
                rows = read_split(Path(data) / path, split, ("en", language))
            except OSError:
                continue
            yield from ((language, row) for row in rows)


async def compare(
    pipeline: TranslatePipeline,
    rows: Sequence[Row],
    options: TranslateOptions,
    finders: Sequence[str],
) -> dict[str, float]:
    """The number of rows, and chrF without and with what some functions of `conversions` find."""
    texts, references = ([row[side] for row in rows] for side in (0, 1))
    ruled = await translate(pipeline, texts, options)
    with ExitStack() as stack:
        for finder in finders:
            stack.enter_context(patch.object(conversions, finder, lambda *_: ()))
        alone = await translate(pipeline, texts, options)
    return {
        "texts": len(texts),
        "without": round(find_chrf(references, options.target, alone), 1),
        "with": round(find_chrf(references, options.target, ruled), 1),
    }
