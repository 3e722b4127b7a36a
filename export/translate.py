"""Translates whole texts with a loaded model, cut and put together as the server does it."""

import time
from collections.abc import Sequence

from service.answers import TranslateOptions
from service.engine.batch import Request, SearchOptions
from service.engine.runner import run_requests
from service.errors import InputTooLong
from service.pipeline.documents import Passage, list_requests, render_passages, segment
from service.repository.model import LoadedModel


def translate_texts(
    model: LoadedModel, texts: Sequence[str], source: str, target: str, beam_size: int
) -> list[str]:
    """The best translation of each text; empty where the server would refuse it as too long."""
    options = TranslateOptions(source, target)
    search = SearchOptions(beam_size, model.manifest.limits.max_new_tokens)
    like = Request([], time.monotonic(), float("inf"), search)
    documents = [cut_text(model, text, options, like) for text in texts]
    requests = [request for passages in documents for request in list_requests(passages)]
    results = dict(zip(requests, run_requests(model.runner, requests), strict=True))
    return [render_passages(model, passages, results, 0, "text") for passages in documents]


def cut_text(
    model: LoadedModel, text: str, options: TranslateOptions, like: Request
) -> list[Passage]:
    try:
        return segment(text, options.source, options, model, like)
    except InputTooLong:
        return []
