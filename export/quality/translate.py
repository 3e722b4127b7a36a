"""Translates whole texts with a loaded model, segmented and assembled as by the server."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from service.answers import TranslateOptions
from service.engine.batch import Result, SearchOptions, TokenSequence
from service.engine.runner import run_sequences
from service.errors import InputTooLong
from service.pipeline.translation.documents import Document, assemble, parse_text, segment
from service.pipeline.translation.reader import make_reader
from service.repository.model import LoadedModel


class Translated(NamedTuple):
    """A translation, and the log-probability per token of its worst sentence.

    The log-probability is None if nothing was translated, or if it was cut around placeables.
    """

    text: str
    log_probability: float | None


def translate_texts(
    model: LoadedModel,
    texts: Sequence[str],
    source: str,
    target: str,
    beam_size: int,
    options: TranslateOptions | None = None,
) -> list[str]:
    """Returns the best translation of each text, empty if the server would reject the text."""
    options = options or TranslateOptions(source, target)
    return [each.text for each in translate_scored(model, texts, options, beam_size)]


def translate_scored(
    model: LoadedModel, texts: Sequence[str], options: TranslateOptions, beam_size: int
) -> list[Translated]:
    """Translates texts; those that the server would reject come back empty."""
    search = SearchOptions(beam_size, model.manifest.limits.max_new_tokens)
    like = TokenSequence([], time.monotonic(), float("inf"), search)
    documents = [open_document(model, text, options, like) for text in texts]
    results: dict[TokenSequence, Result] = {}
    sequences = [sequence for document in documents for sequence in document.sequences]
    while sequences:
        results |= zip(sequences, run_sequences(model.runner, sequences), strict=True)
        sequences = [
            sequence for document in documents for sequence in document.read_all_again(results)
        ]
    return [finish(document, results, options) for document in documents]


def open_document(
    model: LoadedModel, text: str, options: TranslateOptions, like: TokenSequence
) -> Document:
    nodes = parse_text(text, options.text_format)
    reader = make_reader(model, options.source, options, like)
    try:
        return Document(reader, None, segment(nodes, reader))
    except InputTooLong:
        return Document(reader, None, [])


def finish(
    document: Document, results: dict[TokenSequence, Result], options: TranslateOptions
) -> Translated:
    best = document.choose(results).values()
    scores = [each.hypothesis.score for each in best if each]
    is_whole = len(scores) == len(best) and not document.was_read_again
    text = assemble(document, results, options).text
    return Translated(text, min(scores) if scores and is_whole else None)
