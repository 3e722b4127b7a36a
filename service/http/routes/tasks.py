"""The task endpoints: read the body, call the pipeline, answer."""

import asyncio
import time
from typing import Any, Protocol, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from pydantic_core import to_json

from service.answers import (
    ClassifyOptions,
    Started,
    TranslateOptions,
)
from service.errors import BodyTimeout, InvalidInput
from service.http.auth import KEY_SCHEMES, authorize
from service.http.bodies import parse_body, read_body
from service.http.context import AppContext, find_request_context, get_context
from service.http.disconnect import run_watched
from service.http.faults import describe_faults
from service.http.responses import (
    DETECTIONS,
    json_response,
    name_model,
    reply,
    show_detection,
    show_stream,
    show_translations,
)
from service.http.schemas import (
    Body,
    ClassifyRequest,
    DetectedLanguage,
    DetectRequest,
    LabelledScore,
    TimedBody,
    TranslateRequest,
    TranslateResponse,
)
from service.http.sse import EventResponse
from service.settings import Settings

TIMEOUT_HEADER = "x-request-timeout-ms"

BodyT = TypeVar("BodyT", bound=Body)
OptionsT = TypeVar("OptionsT", contravariant=True)
JobT = TypeVar("JobT", bound="Job")
AnswerT = TypeVar("AnswerT", covariant=True)


class Job(Protocol):
    """Texts on their way through models that are known by name."""

    @property
    def model_names(self) -> str: ...


class Pipeline(Protocol[OptionsT, JobT, AnswerT]):
    """A task: texts become a job, and a job is answered."""

    async def open_job(self, texts: list[str], options: OptionsT, deadline: float, /) -> JobT: ...

    async def answer_job(self, job: JobT, /) -> AnswerT: ...


def document_body(model: type[Body]) -> dict[str, Any]:
    """Describes for OpenAPI a body that we parse ourselves."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    kinds = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
    return {
        "requestBody": {"required": True, "content": {kind: {"schema": schema} for kind in kinds}},
        "security": [{name: []} for name in KEY_SCHEMES],
    }


tasks = APIRouter(tags=["tasks"])


@tasks.post(
    "/translate", response_model=TranslateResponse, openapi_extra=document_body(TranslateRequest)
)
async def translate(request: Request) -> Response:
    """Translates a text or an array of texts, as LibreTranslate does."""
    context = get_context(request)
    context.translate.check_wait()
    body = await receive(request, context.settings, TranslateRequest)
    options = TranslateOptions(
        source=body.source,
        target=body.target,
        text_format=body.format,
        alternatives=body.alternatives,
        beam_size=body.beam_size,
        max_new_tokens=body.max_new_tokens,
        attention=body.attention,
        formality=body.formality,
        terms={term: term for term in body.keep} | body.glossary,
        min_score=body.min_score,
    )
    texts = [body.q] if isinstance(body.q, str) else body.q
    deadline = find_deadline(request, context, body)
    is_single = isinstance(body.q, str)
    if body.stream and body.min_score:
        raise InvalidInput(
            "min_score cannot be kept while the translation is streamed; leave one of the two out"
        )
    if body.stream:
        return await stream(request, texts, options, deadline, is_single=is_single)
    work = perform(request, context.translate, texts, options, deadline)
    answer = await run_watched(request.receive, work)
    shown = show_translations(answer, options, is_single=is_single)
    return reply(request, answer, shown.model_dump_json(by_alias=True, exclude_none=True))


@tasks.post(
    "/classify",
    response_model=list[list[LabelledScore]],
    openapi_extra=document_body(ClassifyRequest),
)
async def classify(request: Request) -> Response:
    """Classifies a text or an array of texts, as Hugging Face does; one list of labels per text."""
    context = get_context(request)
    context.classify.check_wait()
    body = await receive(request, context.settings, ClassifyRequest)
    wanted = body.parameters
    options = ClassifyOptions(wanted.model, wanted.top_k, wanted.function_to_apply)
    texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
    deadline = find_deadline(request, context, body)
    work = perform(request, context.classify, texts, options, deadline)
    answer = await run_watched(request.receive, work)
    labels = [
        [{"label": found.label, "score": found.score} for found in scores]
        for scores in answer.labels
    ]
    return reply(request, answer, to_json(labels))


@tasks.post(
    "/detect", response_model=list[DetectedLanguage], openapi_extra=document_body(DetectRequest)
)
async def detect(request: Request) -> Response:
    """Likely languages of a text, best first, as LibreTranslate does."""
    context = get_context(request)
    body = await receive(request, context.settings, DetectRequest)
    found = context.translate.detect(body.q)
    likely = [detection for detection in found if detection.confidence > 0] or found[:1]
    return json_response(DETECTIONS.dump_json([show_detection(each) for each in likely]))


async def perform(
    request: Request,
    pipeline: Pipeline[OptionsT, JobT, AnswerT],
    texts: list[str],
    options: OptionsT,
    deadline: float,
) -> AnswerT:
    """The pipeline's answer; which models are asked is noted before they are.

    So it is known, too, of a request that fails or is cancelled while they work.
    """
    job = await pipeline.open_job(texts, options, deadline)
    find_request_context(request.scope).model_names = job.model_names
    return await pipeline.answer_job(job)


async def stream(
    request: Request,
    texts: list[str],
    options: TranslateOptions,
    deadline: float,
    *,
    is_single: bool,
) -> Response:
    """A translation as events; what can be known before it begins is answered as elsewhere."""
    pipeline = get_context(request).translate
    job = await pipeline.open_job(texts, options, deadline)
    find_request_context(request.scope).model_names = job.model_names
    events = pipeline.stream_job(job)
    started = await anext(events)
    assert isinstance(started, Started)
    shown = show_stream(request, events, options, is_single=is_single)
    return EventResponse(shown, name_model(started))


async def receive(request: Request, settings: Settings, model: type[BodyT]) -> BodyT:
    """The body of a request that may be served: read, parsed, authorized, checked.

    Raises:
        InvalidInput, InputTooLong, EmptyInput, KeyMissing, NotAuthorized, BodyTimeout.
    """
    try:
        async with asyncio.timeout(settings.max_timeout_ms / 1000):
            body = await read_body(request, settings.max_body_bytes)
    except TimeoutError:
        raise BodyTimeout("The body did not arrive in time; send it faster.") from None
    fields = await parse_body(body, request.headers)
    authorize(request, settings, fields.get("api_key"))
    try:
        return model.model_validate(fields)
    except ValidationError as exc:
        raise InvalidInput(describe_faults(model, exc.errors(include_url=False))) from None


def find_deadline(request: Request, context: AppContext, body: TimedBody) -> float:
    """When the answer is of no use any more, in monotonic seconds: by the shorter of both limits.

    Raises:
        InvalidInput: a limit is not a number, or above what the operator allows.
    """
    settings = context.settings
    limits = [limit for limit in (body.timeout_ms, read_timeout(request)) if limit is not None]
    timeout_ms = min(limits, default=settings.default_timeout_ms)
    if not 1 <= timeout_ms <= settings.max_timeout_ms:
        raise InvalidInput(f"The timeout must be 1 to {settings.max_timeout_ms} milliseconds.")
    return time.monotonic() + timeout_ms / 1000


def read_timeout(request: Request) -> int | None:
    value = request.headers.get(TIMEOUT_HEADER)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) < 20):
        raise InvalidInput("X-Request-Timeout-Ms must be a whole number of milliseconds.")
    return int(value)
