"""Translates whole texts with a loaded model, segmented and assembled as by the server."""

import time
from collections.abc import Sequence

from service.answers import TranslateOptions
from service.engine.batch import SearchOptions, TokenSequence
from service.engine.runner import run_sequences
from service.errors import InputTooLong
from service.pipeline.documents import (
    Passage,
    list_sequences,
    parse_text,
    render_passages,
    segment,
)
from service.repository.model import LoadedModel


def translate_texts(
    model: LoadedModel, texts: Sequence[str], source: str, target: str, beam_size: int
) -> list[str]:
    """Returns the best translation of each text, empty if the server would reject the text."""
    options = TranslateOptions(source, target)
    search = SearchOptions(beam_size, model.manifest.limits.max_new_tokens)
    like = TokenSequence([], time.monotonic(), float("inf"), search)
    documents = [cut_text(model, text, options, like) for text in texts]
    sequences = [sequence for passages in documents for sequence in list_sequences(passages)]
    results = dict(zip(sequences, run_sequences(model.runner, sequences), strict=True))
    return [render_passages(model, passages, results, 0, "text") for passages in documents]


def cut_text(
    model: LoadedModel, text: str, options: TranslateOptions, like: TokenSequence
) -> list[Passage]:
    try:
        nodes = parse_text(text, options.text_format)
        return segment(nodes, options.source, options.target, model, like)
    except InputTooLong:
        return []
