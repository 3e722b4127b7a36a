"""Probes, metrics, and what is loaded."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from service.errors import ModelNotFound, ModelNotReady
from service.http.context import get_context
from service.http.metrics import MetricsResponse
from service.http.schemas.languages import (
    FrontendLanguages,
    FrontendSettings,
    GlossaryDirection,
    GlossaryInfo,
    LanguageInfo,
    LanguageName,
)
from service.http.schemas.models import (
    ModelCondition,
    ModelInfo,
    ModelStates,
    QualityFigure,
    ShownFind,
    ShownLayer,
)
from service.http.schemas.predict import ClassifierInfo, ClassifierLabels, ServerInfo
from service.http.schemas.probes import ProbeStatus
from service.repository.manifest import Condition, Manifest
from service.repository.registry import ServedModel

operations = APIRouter(tags=["operations"])
# What clients of the tasks ask for before them.
discovery = APIRouter(tags=["tasks"])


@discovery.get("/languages")
async def list_languages(request: Request) -> list[LanguageInfo]:
    """Languages that can be translated, with where to."""
    return [
        LanguageInfo(code=language.code, name=language.name, targets=language.targets)
        for language in get_context(request).translate.languages()
    ]


@discovery.get("/glossaries")
async def list_glossaries(request: Request) -> list[GlossaryInfo]:
    """Glossaries that a translation may name."""
    return [
        GlossaryInfo(
            name=glossary.name,
            directions=[
                GlossaryDirection(source=source, target=target, num_terms=len(terms.translations))
                for (source, target), terms in glossary.terms.items()
            ],
        )
        for glossary in get_context(request).registry.glossaries.list_all()
    ]


@discovery.get("/frontend/settings")
async def show_frontend(request: Request) -> FrontendSettings:
    """What LibreTranslate's clients ask for first."""
    context = get_context(request)
    languages = context.translate.languages()
    names = {language.code: language.name for language in languages}
    others = [code for code in languages[0].targets if code in names] if languages else []
    target = next((code for code in others if code != languages[0].code), "")
    return FrontendSettings(
        api_keys=bool(context.settings.api_keys),
        key_required=bool(context.settings.api_keys),
        char_limit=context.settings.max_text_chars,
        language=FrontendLanguages(
            source=LanguageName(code="auto", name="Auto Detect"),
            target=LanguageName(code=target, name=names.get(target, target)),
        ),
    )


@discovery.get("/info")
async def show_info(request: Request) -> ServerInfo:
    """What clients of text-embeddings-inference ask for first."""
    context = get_context(request)
    settings = context.settings
    served = next(iter(context.registry.default_classifiers()), None)
    if served is None:
        raise ModelNotFound("no classifier answers by default; GET /models lists all models")
    names = dict(enumerate(served.manifest.labels))
    labels = ClassifierLabels(
        id2label={str(index): label for index, label in names.items()},
        label2id={label: index for index, label in names.items()},
    )
    return ServerInfo(
        model_id=served.manifest.name,
        model_sha=served.manifest.version,
        model_dtype=served.precision,
        model_type=ClassifierInfo(classifier=labels),
        max_concurrent_requests=settings.max_queue_size,
        max_input_length=served.manifest.limits.max_input_tokens,
        max_batch_tokens=settings.max_batch_tokens,
        max_batch_requests=settings.max_batch_size,
        max_client_batch_size=settings.max_texts,
        version=request.app.version,
    )


@operations.get("/models")
async def list_models(request: Request) -> list[ModelInfo]:
    """Models that are loaded, those of one task and purpose together."""
    models = map(describe_model, get_context(request).registry.models())
    return sorted(models, key=lambda model: (model.task, model.purpose, model.name))


@operations.head("/livez", include_in_schema=False)
@operations.get("/livez")
async def live() -> ProbeStatus:
    """Whether the process answers at all."""
    return ProbeStatus(status="live")


@operations.head("/readyz", include_in_schema=False)
@operations.get("/readyz")
async def ready(request: Request) -> ProbeStatus:
    """Whether the server should get traffic; 503 with the reasons where not."""
    faults = get_context(request).faults()
    if faults:
        raise ModelNotReady(f"Not ready: {'; '.join(faults)}.")
    return ProbeStatus(status="ready")


@operations.head("/health", include_in_schema=False)
@operations.get("/health")
async def health(request: Request) -> ProbeStatus:
    """As `/readyz`, in the words of LibreTranslate."""
    await ready(request)
    return ProbeStatus(status="ok")


@operations.get("/metrics", response_class=PlainTextResponse)
async def show_metrics(request: Request) -> Response:
    """Prometheus metrics; in OpenMetrics, with exemplars, for clients that accept it."""
    return MetricsResponse(get_context(request).metrics_app)


def describe_model(served: ServedModel) -> ModelInfo:
    manifest = served.manifest
    trained_on = [source for source in manifest.sources if source.weight]
    return ModelInfo(
        name=manifest.name,
        version=manifest.version,
        task=manifest.task,
        purpose=manifest.purpose,
        answers_by_default=manifest.answers_by_default,
        cell=manifest.cell,
        description=manifest.description,
        languages=list(manifest.languages),
        pairs=[f"{source}-{target}" for source, target in manifest.pairs],
        labels=list(manifest.labels),
        condition=describe_condition(manifest.condition),
        states=describe_states(manifest),
        lookahead=manifest.lookahead,
        precision=served.precision,
        device=served.device,
        num_bytes=manifest.num_bytes,
        licences=list(dict.fromkeys(source.licence for source in trained_on)),
        commercial_use=manifest.commercial_use,
        headlines=[copy_figure(figure) for figure in manifest.headlines],
        quality=[copy_figure(figure) for figure in manifest.quality],
    )


def describe_condition(condition: Condition | None) -> ModelCondition | None:
    if condition is None:
        return None
    return ModelCondition(labels=list(condition.labels), num_features=condition.num_features)


def describe_states(manifest: Manifest) -> ModelStates | None:
    if not manifest.states:
        return None
    return ModelStates(
        layers=[ShownLayer.model_validate(layer.model_dump()) for layer in manifest.states],
        finds=[ShownFind.model_validate(find.model_dump()) for find in manifest.finds],
    )


def copy_figure(figure: BaseModel) -> QualityFigure:
    return QualityFigure.model_validate(figure.model_dump())
