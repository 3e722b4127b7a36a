"""Translates whole texts with a loaded model, cut and put together as the server does it."""

import time
from collections.abc import Sequence

from service.batch import Request, Result, SearchOptions
from service.documents import Passage, TranslateOptions, cut_passages, render_passage
from service.errors import InputTooLong
from service.loader import LoadedModel, run_requests


def translate_texts(
    model: LoadedModel, texts: Sequence[str], source: str, target: str, beam_size: int
) -> list[str]:
    """The best translation of each text; empty where the server would refuse it as too long."""
    options = TranslateOptions(source, target)
    search = SearchOptions(beam_size, model.manifest.limits.max_new_tokens)
    like = Request([], time.monotonic(), float("inf"), search)
    documents = [cut_text(model, text, options, like) for text in texts]
    requests = [
        sentence.request
        for passages in documents
        for passage in passages
        for sentence in passage.sentences
        if sentence.request
    ]
    results = dict(zip(requests, run_requests(model.runner, requests), strict=True))
    return [render_text(model, passages, results) for passages in documents]


def cut_text(
    model: LoadedModel, text: str, options: TranslateOptions, like: Request
) -> list[Passage]:
    try:
        return cut_passages(text, options.source, options, model, like)
    except InputTooLong:
        return []


def render_text(
    model: LoadedModel, passages: Sequence[Passage], results: dict[Request, Result]
) -> str:
    return "".join(render_passage(model, passage, results, 0, "text") for passage in passages)
