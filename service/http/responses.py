"""Answers of the pipeline as responses on the wire."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from fastapi import Request, Response
from pydantic import TypeAdapter
from pydantic_core import to_json

from service.answers import (
    Answer,
    Delta,
    Detection,
    Started,
    StreamEvent,
    Timings,
    TranslateAnswer,
    TranslateOptions,
    Translation,
)
from service.errors import ServingError
from service.http.context import find_request_context
from service.http.schemas import AlignedSentence, DetectedLanguage, TranslateResponse
from service.http.sse import format_event

T = TypeVar("T")


DETECTIONS = TypeAdapter(list[DetectedLanguage])


def show_translations(
    answer: TranslateAnswer, options: TranslateOptions, *, is_single: bool
) -> TranslateResponse:
    """The answer in LibreTranslate's shape: lists where `q` was an array, no member unasked for."""
    found = answer.translations
    shown = TranslateResponse(translated_text=pick([each.text for each in found], is_single))
    if options.source == "auto":
        detections = [show_detection(find_detection(each)) for each in found]
        shown.detected_language = pick(detections, is_single)
    if options.alternatives:
        shown.alternatives = pick([each.alternatives for each in found], is_single)
    if options.attention:
        shown.attention = pick([show_attention(each) for each in found], is_single)
    if not all(each.is_complete for each in found):
        shown.complete = pick([each.is_complete for each in found], is_single)
    if any(each.score is not None for each in found):
        scores = [None if each.score is None else round(each.score, 3) for each in found]
        shown.score = pick(scores, is_single)
    if any(each.is_unsure for each in found):
        shown.unsure = pick([each.is_unsure for each in found], is_single)
    return shown


async def show_stream(
    request: Request,
    events: AsyncGenerator[StreamEvent, None],
    options: TranslateOptions,
    *,
    is_single: bool,
) -> AsyncGenerator[bytes, None]:
    """Events: `token` with further text, then `done` with the whole answer, or `error`."""
    async with aclosing(events):
        try:
            async for item in events:
                if isinstance(item, Delta):
                    data = to_json({"index": item.index, "text": item.text})
                    yield format_event("token", data.decode())
                elif isinstance(item, TranslateAnswer):
                    find_request_context(request.scope).timings = item.timings
                    shown = show_translations(item, options, is_single=is_single)
                    yield format_event(
                        "done", shown.model_dump_json(by_alias=True, exclude_none=True)
                    )
        except ServingError as exc:  # the status is out already
            find_request_context(request.scope).error = exc
            yield format_event("error", to_json({"error": str(exc)}).decode())


def pick(values: list[T], is_single: bool) -> T | list[T]:
    return values[0] if is_single else values


def find_detection(translation: Translation) -> Detection:
    assert translation.detected is not None, "the pipeline detects where source is auto"
    return translation.detected


def show_detection(detection: Detection) -> DetectedLanguage:
    return DetectedLanguage(language=detection.language, confidence=detection.confidence)


def show_attention(translation: Translation) -> list[AlignedSentence]:
    return [
        AlignedSentence(
            source_tokens=sentence.source_tokens,
            target_tokens=sentence.target_tokens,
            weights=sentence.weights,
        )
        for sentence in translation.attention or []
    ]


def reply(request: Request, answer: Answer, content: str | bytes) -> Response:
    """A task's answer, with what made it in the headers."""
    find_request_context(request.scope).timings = answer.timings
    headers = name_model(answer)
    headers["Server-Timing"] = format_timings(answer.timings)
    return Response(content, headers=headers, media_type="application/json")


def name_model(made_by: Answer | Started) -> dict[str, str]:
    """Headers that name the model."""
    if not made_by.model_name:  # none where source and target are one language
        return {}
    return {"X-Model-Name": made_by.model_name, "X-Model-Version": made_by.model_version}


def json_response(content: str | bytes) -> Response:
    return Response(content, media_type="application/json")


def format_timings(timings: Timings) -> str:
    """The Server-Timing header, in milliseconds."""
    return (
        f"tokenize;dur={1000 * timings.tokenize_seconds:.3f}, "
        f"queue;dur={1000 * timings.queue_seconds:.3f}, "
        f"inference;dur={1000 * timings.inference_seconds:.3f}, "
        f"total;dur={1000 * timings.total_seconds:.3f}"
    )
