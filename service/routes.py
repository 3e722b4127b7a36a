"""HTTP only: read the body, call the pipeline, answer; health, metrics and the web page, too."""

import asyncio
import hmac
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException

from service.answers import Answer, ClassifyOptions, Delta, News, Started, TranslateAnswer
from service.batch import Timings
from service.bodies import parse_body, read_body
from service.disconnect import run_watched
from service.documents import Detection, TranslateOptions, Translation
from service.errors import InvalidInput, ModelNotReady, NotAuthorized, ServingError
from service.events import EventResponse, format_event
from service.metrics import Metrics
from service.pipeline import Pipeline
from service.registry import Registry, ServedModel
from service.schemas import (
    AlignedSentence,
    Body,
    ClassifyRequest,
    DetectedLanguage,
    DetectRequest,
    FrontendLanguages,
    FrontendSettings,
    LabelledScore,
    LanguageInfo,
    LanguageName,
    ModelInfo,
    QualityFigure,
    TimedBody,
    TranslateRequest,
    TranslateResponse,
    describe_faults,
)
from service.settings import Settings

if TYPE_CHECKING:
    from service.traces import Traces

T = TypeVar("T")
BodyT = TypeVar("BodyT", bound=Body)

TIMEOUT_HEADER = "x-request-timeout-ms"
PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
)

DETECTIONS = TypeAdapter(list[DetectedLanguage])


@dataclass
class Services:
    """What the routes work with; the app has one.

    Attributes:
        collector: what `/metrics` shows.
        is_draining: set once the server has been told to stop; it still answers.
        traces: None where no endpoint is set.
    """

    settings: Settings
    metrics: Metrics
    registry: Registry
    pipeline: Pipeline
    collector: Collector
    is_draining: bool = False
    traces: "Traces | None" = None

    def faults(self) -> list[str]:
        """Why the server should get no traffic."""
        return (["the server is stopping"] if self.is_draining else []) + self.registry.faults()


def document_body(model: type[Body]) -> dict[str, Any]:
    """What OpenAPI shall say of a body that we parse ourselves."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    kinds = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
    return {
        "requestBody": {"required": True, "content": {kind: {"schema": schema} for kind in kinds}},
        "security": [{name: []} for name in KEY_SCHEMES],
    }


class TaskRoute(APIRoute):
    """A route whose endpoint takes the request and gives the response.

    There is nothing for FastAPI to resolve or to convert, and so no time is spent on it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


# For the documentation alone: `authorize` looks at the key, which may be in the body, too.
KEY_SCHEMES = {
    "HTTPBearer": {"type": "http", "scheme": "bearer"},
    "APIKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
tasks = APIRouter(tags=["tasks"], route_class=TaskRoute)
operations = APIRouter(tags=["operations"])
pages = APIRouter(include_in_schema=False)


@tasks.post(
    "/translate", response_model=TranslateResponse, openapi_extra=document_body(TranslateRequest)
)
async def translate(request: Request) -> Response:
    """Translates a text or an array of texts, as LibreTranslate does."""
    services = get_services(request)
    services.pipeline.check_wait("translation")
    body = await receive(request, services.settings, TranslateRequest)
    options = TranslateOptions(
        source=body.source,
        target=body.target,
        text_format=body.format,
        alternatives=body.alternatives,
        beam_size=body.beam_size,
        max_new_tokens=body.max_new_tokens,
        attention=body.attention,
    )
    texts = [body.q] if isinstance(body.q, str) else body.q
    deadline = find_deadline(request, services, body)
    note_models = partial(setattr, request.state, "model")
    is_single = isinstance(body.q, str)
    if body.stream:
        news = services.pipeline.stream(texts, options, deadline, note_models)
        started = await anext(news)  # what is wrong with the request is told as ever
        assert isinstance(started, Started)
        events = show_stream(request, news, options, is_single=is_single)
        return EventResponse(events, name_model(started))
    work = services.pipeline.translate(texts, options, deadline, note_models)
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
    services = get_services(request)
    services.pipeline.check_wait("sentiment")
    body = await receive(request, services.settings, ClassifyRequest)
    wanted = body.parameters
    options = ClassifyOptions(wanted.model, wanted.top_k, wanted.function_to_apply)
    texts = [body.inputs] if isinstance(body.inputs, str) else body.inputs
    deadline = find_deadline(request, services, body)
    note_models = partial(setattr, request.state, "model")
    work = services.pipeline.classify(texts, options, deadline, note_models)
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
    services = get_services(request)
    body = await receive(request, services.settings, DetectRequest)
    found = services.pipeline.detect(body.q)
    likely = [detection for detection in found if detection.confidence > 0] or found[:1]
    return json_response(DETECTIONS.dump_json([show_detection(each) for each in likely]))


@operations.get("/languages", tags=["tasks"])
async def list_languages(request: Request) -> list[LanguageInfo]:
    """Languages that can be translated, with where to."""
    return [
        LanguageInfo(code=language.code, name=language.name, targets=language.targets)
        for language in get_services(request).pipeline.languages()
    ]


@operations.get("/frontend/settings", tags=["tasks"])
async def show_frontend(request: Request) -> FrontendSettings:
    """What LibreTranslate's clients ask for first."""
    services = get_services(request)
    languages = services.pipeline.languages()
    names = {language.code: language.name for language in languages}
    others = [code for code in languages[0].targets if code in names] if languages else []
    target = next((code for code in others if code != languages[0].code), "")
    return FrontendSettings(
        api_keys=bool(services.settings.api_keys),
        key_required=bool(services.settings.api_keys),
        char_limit=services.settings.max_text_chars,
        language=FrontendLanguages(
            source=LanguageName(code="auto", name="Auto Detect"),
            target=LanguageName(code=target, name=names.get(target, target)),
        ),
    )


@operations.get("/models")
async def list_models(request: Request) -> list[ModelInfo]:
    """Models that are loaded."""
    return [describe_model(served) for served in get_services(request).registry.models()]


@operations.head("/livez", include_in_schema=False)
@operations.get("/livez")
async def live() -> dict[str, str]:
    """Whether the process answers at all."""
    return {"status": "live"}


@operations.head("/readyz", include_in_schema=False)
@operations.get("/readyz")
async def ready(request: Request) -> dict[str, str]:
    """Whether the server should get traffic; 503 with the reasons where not."""
    faults = get_services(request).faults()
    if faults:
        raise ModelNotReady(f"Not ready: {'; '.join(faults)}.")
    return {"status": "ready"}


@operations.get("/metrics", response_class=Response)
async def show_metrics(request: Request) -> Response:
    """Prometheus metrics; in OpenMetrics, with exemplars, for who accepts that."""
    render, content_type = choose_format(request.headers.get("accept", ""))
    return Response(render(get_services(request).collector), media_type=content_type)


@pages.api_route("/", methods=["GET", "HEAD"])
async def show_page() -> Response:
    page = resources.files("service").joinpath("page.html").read_text(encoding="utf-8")
    return HTMLResponse(page, headers={"Content-Security-Policy": PAGE_POLICY})


@pages.api_route("/docs", methods=["GET", "HEAD"])
async def show_docs(request: Request) -> Response:
    # Relative addresses: the page works without internet, and below a prefix of an ingress.
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title=request.app.title,
        swagger_js_url="docs/assets/swagger-ui-bundle.js",
        swagger_css_url="docs/assets/swagger-ui.css",
        swagger_favicon_url="docs/assets/favicon-32x32.png",
    )


def choose_format(accepted: str) -> tuple[Callable[[Collector], bytes], str]:
    # prometheus_client's own choice fails where a client names a version that is no number
    if openmetrics.CONTENT_TYPE_LATEST.partition(";")[0] in accepted:
        return openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST
    return generate_latest, CONTENT_TYPE_LATEST


def get_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def receive(request: Request, settings: Settings, model: type[BodyT]) -> BodyT:
    """The body of a request that may be served: read, parsed, authorized, checked.

    Raises:
        InvalidInput, InputTooLong, EmptyInput, NotAuthorized; HTTPException 401 or 408.
    """
    try:
        async with asyncio.timeout(settings.max_timeout_ms / 1000):
            body = await read_body(request, settings.max_body_bytes)
    except TimeoutError:
        raise HTTPException(408, "The body did not arrive in time; send it faster.") from None
    fields = await parse_body(body, request.headers)
    authorize(request, settings, fields.get("api_key"))
    try:
        return model.model_validate(fields)
    except ValidationError as exc:
        raise InvalidInput(describe_faults(model, exc.errors(include_url=False))) from None


def authorize(request: Request, settings: Settings, body_key: object) -> None:
    """Lets pass who has one of the keys, or everybody where there are none.

    Raises:
        HTTPException: 401, no key was sent.
        NotAuthorized: the key is unknown.
    """
    if not settings.api_keys:
        return
    key = find_key(request, body_key)
    if not key:
        raise HTTPException(
            401,
            "An API key is needed; send it as `api_key`, X-API-Key or Authorization: Bearer.",
            {"WWW-Authenticate": "Bearer"},
        )
    given = key.encode()
    known = [accepted.get_secret_value().encode() for accepted in settings.api_keys]
    # Every key is compared, in constant time, so that timing tells nothing.
    if not any([hmac.compare_digest(given, accepted) for accepted in known]):  # noqa: C419
        raise NotAuthorized("The API key is not known; ask the operator for one.")


def find_key(request: Request, body_key: object) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("x-api-key", "") or (body_key if isinstance(body_key, str) else "")


def find_deadline(request: Request, services: Services, body: TimedBody) -> float:
    """When the answer is of no use any more, in monotonic seconds: by the shorter of both limits.

    Raises:
        InvalidInput: a limit is no number, or above what the operator allows.
    """
    settings = services.settings
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
    return shown


async def show_stream(
    request: Request,
    news: AsyncGenerator[News, None],
    options: TranslateOptions,
    *,
    is_single: bool,
) -> AsyncGenerator[bytes, None]:
    """Events: `token` with further text, then `done` with the whole answer, or `error`."""
    async with aclosing(news):
        try:
            async for item in news:
                if isinstance(item, Delta):
                    data = to_json({"index": item.index, "text": item.text})
                    yield format_event("token", data.decode())
                elif isinstance(item, TranslateAnswer):
                    request.scope["state"]["timings"] = item.timings
                    shown = show_translations(item, options, is_single=is_single)
                    yield format_event(
                        "done", shown.model_dump_json(by_alias=True, exclude_none=True)
                    )
        except ServingError as exc:  # the status is out already
            request.scope["state"]["error"] = exc
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
    request.scope["state"]["timings"] = answer.timings
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


def describe_model(served: ServedModel) -> ModelInfo:
    manifest = served.manifest
    trained_on = [source for source in manifest.sources if source.weight]
    return ModelInfo(
        name=manifest.name,
        version=manifest.version,
        task=manifest.task,
        cell=manifest.cell,
        description=manifest.description,
        languages=list(manifest.languages),
        pairs=[f"{source}-{target}" for source, target in manifest.pairs],
        labels=list(manifest.labels),
        precision=served.precision,
        device=served.device,
        num_bytes=manifest.num_bytes,
        licences=list(dict.fromkeys(source.licence for source in trained_on)),
        commercial_use=manifest.commercial_use,
        headlines=[copy_figure(figure) for figure in manifest.headlines],
        quality=[copy_figure(figure) for figure in manifest.quality],
    )


def copy_figure(figure: BaseModel) -> QualityFigure:
    return QualityFigure.model_validate(figure.model_dump())
