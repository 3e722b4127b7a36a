"""Answers of the pipeline as responses on the wire."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, TypeVar

from fastapi import Request, Response
from pydantic import TypeAdapter
from pydantic_core import to_json

from service.answers import (
    Answer,
    Classification,
    ClassifyAnswer,
    Delta,
    Detection,
    Entity,
    Started,
    States,
    StreamEvent,
    TagAnswer,
    TagOptions,
    Timings,
    TranslateAnswer,
    TranslateOptions,
    Translation,
)
from service.errors import ServingError
from service.http.context import find_request_context
from service.http.responses.sse import format_event
from service.http.schemas import (
    AlignedSentence,
    DetailsShown,
    DetectedLanguage,
    PipelineTranslation,
    TranslateResponse,
)

T = TypeVar("T")


DETECTIONS = TypeAdapter(list[DetectedLanguage])
PIPELINE_TRANSLATIONS = TypeAdapter(list[PipelineTranslation])


def show_translations(
    answer: TranslateAnswer, options: TranslateOptions, *, is_single: bool
) -> TranslateResponse:
    """The answer in LibreTranslate's shape: lists where `q` was an array, no member unasked for."""
    found = answer.translations
    shown = TranslateResponse(translated_text=pick([each.text for each in found], is_single))
    detections = [show_detection(each.detected) for each in found if each.detected]
    if detections:
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
    if options.states:
        shown.details = pick([make_details(each.states) for each in found], is_single)
    return shown


def show_pipeline_translations(answer: TranslateAnswer) -> list[PipelineTranslation]:
    """The answer in Hugging Face's shape, which is a list also for one text."""
    return [
        PipelineTranslation(
            translation_text=each.text,
            complete=None if each.is_complete else False,
            details=make_details(each.states),
        )
        for each in answer.translations
    ]


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


def show_classifications(answer: ClassifyAnswer, *, with_details: bool) -> list[Any]:
    """Hugging Face's lists of labels, or an object per text."""
    shown = [
        [{"label": found.label, "score": found.score} for found in labels]
        for labels in answer.labels
    ]
    if not with_details:
        return shown
    return [
        {
            "labels": labels,
            "model": each.model_name,
            "num_tokens": each.num_tokens,
            "truncated": each.is_truncated,
            **show_attributions(each),
            **show_details(each.states),
        }
        for labels, each in zip(shown, answer.classifications, strict=True)
    ]


def show_taggings(answer: TagAnswer, options: TagOptions) -> list[Any]:
    """Hugging Face's list of entities for each text, or an object with more than that."""
    shown = [
        [show_entity(entity, options) for entity in tagging.entities] for tagging in answer.taggings
    ]
    if not (options.render or options.states):
        return shown
    return [
        {
            "entities": entities,
            **({"text": tagging.rendered} if options.render else {}),
            **show_details(tagging.states),
        }
        for entities, tagging in zip(shown, answer.taggings, strict=True)
    ]


def show_details(states: States | None) -> dict[str, Any]:
    """The states, if they were asked for."""
    return {} if states is None else {"details": {"states": asdict(states)}}


def make_details(states: States | None) -> DetailsShown | None:
    """The same as a part of an answer that has a model."""
    if states is None:
        return None
    return DetailsShown.model_validate({"states": asdict(states)})


def show_entity(entity: Entity, options: TagOptions) -> dict[str, Any]:
    """A token or an entity, in transformers' words."""
    if options.aggregation == "none":
        named: dict[str, Any] = {"entity": entity.label, "index": entity.index}
    else:
        named = {"entity_group": entity.label}
    where = {"word": entity.word, "start": entity.start, "end": entity.end}
    return {**named, "score": entity.score, **where}


def show_attributions(classification: Classification) -> dict[str, list[dict[str, Any]]]:
    """The weights of tokens, if they were asked for."""
    if classification.attributions is None:
        return {}
    return {"tokens": [asdict(each) for each in classification.attributions]}


def name_truncation(answer: ClassifyAnswer) -> dict[str, str]:
    """A header that says that texts were cut."""
    return {"X-Truncated": "true"} if any(e.is_truncated for e in answer.classifications) else {}


def reply(
    request: Request,
    answer: Answer,
    content: str | bytes,
    more_headers: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """A task's answer, with what made it in the headers; the trace learns its timings."""
    find_request_context(request.scope).timings = answer.timings
    return respond(answer, content, more_headers)


def respond(
    answer: Answer, content: str | bytes, more_headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    """A task's answer, with what made it in the headers."""
    headers = {**name_model(answer), **more_headers}
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
