"""The task endpoints: read the body, call the pipeline, answer."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from pydantic_core import to_json

from service.answers import ClassifyAnswer, Started, TranslateOptions
from service.errors import BodyTimeout, InvalidInput
from service.http.context import AppContext, find_request_context, get_context
from service.http.openapi import document_body, document_events
from service.http.requests.auth import authorize
from service.http.requests.bodies import parse_fields, read_body
from service.http.requests.deadlines import TIMEOUT_HEADER, choose_deadline
from service.http.requests.disconnect import run_watched
from service.http.requests.faults import describe_faults
from service.http.requests.time_limit import TimeLimit
from service.http.responses.answers import (
    DETECTIONS,
    PIPELINE_TRANSLATIONS,
    json_response,
    name_model,
    name_truncation,
    pick,
    reply,
    show_classifications,
    show_detection,
    show_pipeline_translations,
    show_stream,
    show_taggings,
    show_translations,
)
from service.http.responses.sse import EventResponse
from service.http.schemas import (
    Body,
    ClassifyRequest,
    DetailedClassification,
    DetailedTagging,
    DetectedLanguage,
    DetectRequest,
    LabelledScore,
    PipelineTranslateRequest,
    PredictRequest,
    TaggedEntity,
    TagRequest,
    TimedBody,
    TranslateRequest,
    TranslateResponse,
    TranslationEvent,
)
from service.settings import Settings

# A short text could be in dozens of languages, a little.
MIN_SHOWN_CONFIDENCE = 1.0

BodyT = TypeVar("BodyT", bound=Body)
ClassifyBodyT = TypeVar("ClassifyBodyT", ClassifyRequest, PredictRequest)
InputT = TypeVar("InputT", contravariant=True)
OptionsT = TypeVar("OptionsT", contravariant=True)
JobT = TypeVar("JobT", bound="Job")
AnswerT = TypeVar("AnswerT", covariant=True)


class Job(Protocol):
    """Texts on their way through models that are known by name."""

    @property
    def model_names(self) -> str: ...


class Pipeline(Protocol[InputT, OptionsT, JobT, AnswerT]):
    """A task: texts, or prompts, become a job, and a job is answered."""

    async def open_job(
        self, inputs: Sequence[InputT], options: OptionsT, deadline: float, /
    ) -> JobT: ...

    async def answer_job(self, job: JobT, /) -> AnswerT: ...


tasks = APIRouter(tags=["tasks"])


@tasks.post(
    "/translate",
    response_model=TranslateResponse,
    responses=document_events(TranslationEvent),
    openapi_extra=document_body(TranslateRequest),
)
async def translate(request: Request) -> Response:
    """Translates a text or an array of texts, as LibreTranslate does.

    Hugging Face's body (`inputs`, `parameters.src_lang`, `parameters.tgt_lang`) gets Hugging Face's
    answer.
    """
    context = get_context(request)
    context.translate.check_wait()
    fields = await receive_fields(request, context.settings)
    if fields.get("q") is None and fields.get("inputs") is not None:
        return await translate_inputs(request, context, fields)
    body = check_fields(fields, TranslateRequest)
    options = body.options
    deadline = find_deadline(request, context, body)
    if body.stream and body.min_score:
        raise InvalidInput(
            "min_score cannot be kept while the translation is streamed; leave one of the two out"
        )
    if body.stream:
        return await stream(request, body.texts, options, deadline, is_single=body.is_single)
    answer = await perform(request, context.translate, body.texts, options, deadline)
    shown = show_translations(answer, options, is_single=body.is_single)
    return reply(request, answer, shown.model_dump_json(by_alias=True, exclude_none=True))


async def translate_inputs(
    request: Request, context: AppContext, fields: dict[str, object]
) -> Response:
    """Translates in the words of Hugging Face."""
    body = check_fields(fields, PipelineTranslateRequest)
    deadline = find_deadline(request, context, body)
    answer = await perform(request, context.translate, body.texts, body.options, deadline)
    shown = PIPELINE_TRANSLATIONS.dump_json(show_pipeline_translations(answer), exclude_none=True)
    return reply(request, answer, shown)


@tasks.post(
    "/classify",
    response_model=list[list[LabelledScore]] | list[DetailedClassification],
    openapi_extra=document_body(ClassifyRequest),
)
async def classify(request: Request) -> Response:
    """Classifies a text or an array of texts, as Hugging Face does; one list of labels per text."""
    body, answer = await classify_body(request, ClassifyRequest)
    shown = show_classifications(answer, with_details=body.wants_details)
    return reply(request, answer, to_json(shown), name_truncation(answer))


@tasks.post(
    "/predict",
    response_model=list[LabelledScore] | list[list[LabelledScore]],
    openapi_extra=document_body(PredictRequest),
)
async def predict(request: Request) -> Response:
    """Classifies as text-embeddings-inference does; one list of labels for a text."""
    body, answer = await classify_body(request, PredictRequest)
    shown = pick(show_classifications(answer, with_details=False), body.is_single)
    return reply(request, answer, to_json(shown), name_truncation(answer))


async def classify_body(
    request: Request, model: type[ClassifyBodyT]
) -> tuple[ClassifyBodyT, ClassifyAnswer]:
    """Reads a body and classifies its texts."""
    context = get_context(request)
    context.classify.check_wait()
    body = await receive(request, context.settings, model)
    deadline = find_deadline(request, context, body)
    return body, await perform(request, context.classify, body.texts, body.options, deadline)


@tasks.post(
    "/tag",
    response_model=list[TaggedEntity]
    | list[list[TaggedEntity]]
    | DetailedTagging
    | list[DetailedTagging],
    openapi_extra=document_body(TagRequest),
)
async def tag(request: Request) -> Response:
    """Labels the tokens of a text or of an array of texts, as Hugging Face does."""
    context = get_context(request)
    context.tag.check_wait()
    body = await receive(request, context.settings, TagRequest)
    deadline = find_deadline(request, context, body)
    answer = await perform(request, context.tag, body.texts, body.options, deadline)
    return reply(
        request, answer, to_json(pick(show_taggings(answer, body.options), body.is_single))
    )


@tasks.post(
    "/detect", response_model=list[DetectedLanguage], openapi_extra=document_body(DetectRequest)
)
async def detect(request: Request) -> Response:
    """Likely languages of a text, best first, as LibreTranslate does."""
    context = get_context(request)
    body = await receive(request, context.settings, DetectRequest)
    found = context.translate.detect(body.q)
    likely = [each for each in found if each.confidence >= MIN_SHOWN_CONFIDENCE] or found[:1]
    return json_response(DETECTIONS.dump_json([show_detection(each) for each in likely]))


async def perform(
    request: Request,
    pipeline: Pipeline[InputT, OptionsT, JobT, AnswerT],
    inputs: Sequence[InputT],
    options: OptionsT,
    deadline: float,
) -> AnswerT:
    """The pipeline's answer; which models are asked is noted before they are.

    So it is known, too, of a request that fails or is cancelled while they work.

    Raises:
        ClientDisconnect: the client has hung up meanwhile.
    """

    async def work() -> AnswerT:
        job = await pipeline.open_job(inputs, options, deadline)
        find_request_context(request.scope).model_names = job.model_names
        return await pipeline.answer_job(job)

    return await run_watched(request.receive, work())


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
    """The fields of a request that may be served: read, parsed, authorized, checked.

    They are in the body, in the query string, or in both.

    Raises:
        InvalidInput, InputTooLong, EmptyInput, KeyMissing, NotAuthorized, BodyTimeout.
    """
    return check_fields(await receive_fields(request, settings), model)


async def receive_fields(request: Request, settings: Settings) -> dict[str, object]:
    """The fields of the body of a request that may be served; what they hold is not checked yet.

    Raises:
        As `receive`.
    """
    try:
        with TimeLimit(settings.max_timeout_ms / 1000):
            body = await read_body(request, settings.max_body_bytes)
    except TimeoutError:
        raise BodyTimeout("The body did not arrive in time; send it faster.") from None
    fields = await parse_fields(body, request.scope["query_string"], request.headers)
    authorize(request, settings, fields.get("api_key"))
    if model_name := request.path_params.get("model_name"):
        return name_model_of_address(fields, model_name)
    return fields


def name_model_of_address(fields: dict[str, object], model_name: str) -> dict[str, object]:
    """The fields with the model that the address names, as if `parameters.model` named it.

    Raises:
        InvalidInput: the parameters name another one.
    """
    parameters = fields.get("parameters")
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict):  # is refused with the other fields
        return fields
    if (named := parameters.get("model")) not in (None, model_name):
        raise InvalidInput(
            f"The address is that of {model_name}, but parameters.model is {named!r}; leave it out."
        )
    return {**fields, "parameters": {**parameters, "model": model_name}}


def check_fields(fields: dict[str, object], model: type[BodyT]) -> BodyT:
    """The fields as a request.

    Raises:
        InvalidInput: names the first field that is wrong.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as exc:
        raise InvalidInput(describe_faults(model, exc.errors(include_url=False))) from None


def find_deadline(request: Request, context: AppContext, body: TimedBody) -> float:
    """When the answer is of no use any more; see `choose_deadline`."""
    value = request.headers.get(TIMEOUT_HEADER.decode())
    header = None if value is None else value.encode("latin-1")
    age = find_request_context(request.scope).age_seconds
    return choose_deadline(context.settings, body.timeout_ms, header, age)
