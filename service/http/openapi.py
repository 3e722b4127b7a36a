"""The OpenAPI document: what FastAPI knows of the routes, and what it cannot know.

We parse bodies ourselves, so their schemas are added here, and so are examples, keys and errors.
The document is made for generators of clients: one schema per body, plain names, no titles.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.http.schemas.bodies import Body
from service.http.schemas.classify import ClassifyRequest
from service.http.schemas.detect import DetectRequest
from service.http.schemas.predict import PredictRequest
from service.http.schemas.problem import Problem
from service.http.schemas.tag import TagRequest
from service.http.schemas.translate import TranslateRequest, TranslationEvent
from service.http.wires.openai import CompletionProblem, CompletionRequest
from service.http.wires.tgi import DataEvent, GenerateRequest
from service.settings import Settings

BODIES: tuple[type[Body], ...] = (
    TranslateRequest,
    ClassifyRequest,
    PredictRequest,
    DetectRequest,
    TagRequest,
    GenerateRequest,
    CompletionRequest,
)
EVENT_MODELS: tuple[type[BaseModel], ...] = (TranslationEvent, DataEvent)

# `authorize` looks at the key, which may be in the body, too.
KEY_SCHEMES = {
    "HTTPBearer": {"type": "http", "scheme": "bearer"},
    "APIKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
REFERENCE = "#/components/schemas/{model}"
JSON, PROBLEM, EVENTS = "application/json", "application/problem+json", "text/event-stream"

LABELS = [{"label": "positive", "score": 0.977}, {"label": "negative", "score": 0.023}]
TOKEN_EVENT = {
    "index": 1,
    "token": {"id": 17, "text": " not", "logprob": -0.25, "special": False},
    "generated_text": None,
    "details": None,
}
COMPLETION = {
    "id": "cmpl-2f1a",
    "object": "text_completion",
    "created": 1_790_000_000,
    "model": "shakespeare-en",
    "choices": [{"index": 0, "text": " not to be", "logprobs": None, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 10, "total_tokens": 19},
}
MODEL_CARD = {"id": "shakespeare-en", "object": "model", "created": 0, "owned_by": "seqserve"}
# By operation: bodies (none if the operation takes none) and an answer.
EXAMPLES: dict[str, tuple[object, object]] = {
    "translate": (
        {"q": "Two dogs are playing in the snow.", "source": "en", "target": "de"},
        {"translatedText": "Zwei Hunde spielen im Schnee."},
    ),
    "classify": ({"inputs": "a delight"}, [LABELS]),
    "predict": ({"inputs": "a delight"}, LABELS),
    "tag": (
        {"inputs": "오늘은날씨가좋다", "parameters": {"aggregation_strategy": "none"}},
        [
            {"entity": "SPACE", "score": 0.99, "index": 2, "word": "은", "start": 2, "end": 3},
            {"entity": "SPACE", "score": 0.98, "index": 5, "word": "가", "start": 5, "end": 6},
        ],
    ),
    "generate": (
        {"inputs": "To be, or", "parameters": {"max_new_tokens": 20, "temperature": 0.8}},
        {"generated_text": " not to be, my lord"},
    ),
    "generate_stream": ({"inputs": "To be, or"}, TOKEN_EVENT),
    "create_completion": (
        {"model": "shakespeare-en", "prompt": "To be, or", "max_tokens": 20},
        COMPLETION,
    ),
    "list_model_cards": (None, {"object": "list", "data": [MODEL_CARD]}),
    "show_model_card": (None, MODEL_CARD),
    "detect": ({"q": "Zwei Hunde spielen."}, [{"confidence": 100.0, "language": "de"}]),
    "list_languages": (None, [{"code": "en", "name": "English", "targets": ["de", "en"]}]),
    "list_glossaries": (
        None,
        [
            {
                "name": "products",
                "directions": [{"source": "en", "target": "de", "num_terms": 12}],
            }
        ],
    ),
    "show_frontend": (
        None,
        {
            "apiKeys": False,
            "charLimit": 100_000,
            "filesTranslation": False,
            "frontendTimeout": 500,
            "keyRequired": False,
            "language": {
                "source": {"code": "auto", "name": "Auto Detect"},
                "target": {"code": "de", "name": "German"},
            },
            "suggestions": False,
            "supportedFilesFormat": [],
        },
    ),
    "show_info": (
        None,
        {
            "model_id": "sentiment-en",
            "model_sha": "4",
            "model_dtype": "int8",
            "model_type": {
                "classifier": {
                    "id2label": {"0": "negative", "1": "positive"},
                    "label2id": {"negative": 0, "positive": 1},
                }
            },
            "max_concurrent_requests": 4096,
            "max_input_length": 2048,
            "max_batch_tokens": 4096,
            "max_batch_requests": 64,
            "max_client_batch_size": 256,
            "auto_truncate": False,
            "tokenization_workers": 1,
            "version": "0.1.0",
        },
    ),
    "list_models": (
        None,
        [
            {
                "name": "sentiment-en",
                "version": "4",
                "task": "classification",
                "purpose": "sentiment",
                "answers_by_default": True,
                "cell": "gru",
                "description": "English sentiment",
                "languages": ["en"],
                "pairs": [],
                "labels": ["negative", "positive"],
                "precision": "int8",
                "device": "cpu",
                "num_bytes": 10_000_000,
                "licences": ["CC0-1.0"],
                "commercial_use": True,
                "headlines": [],
                "quality": [],
            }
        ],
    ),
    "live": (None, {"status": "live"}),
    "ready": (None, {"status": "ready"}),
    "health": (None, {"status": "ok"}),
    "show_metrics": (None, "# TYPE seqserve_ready gauge\nseqserve_ready 1.0\n"),
}
EVENT_EXAMPLES: dict[type[BaseModel], object] = {
    TranslationEvent: {
        "event": "done",
        "data": '{"translatedText":"Zwei Hunde spielen im Schnee."}',
    },
    DataEvent: {"data": json.dumps(TOKEN_EVENT)},
}
PROBLEM_EXAMPLE = {
    "type": "about:blank",
    "title": "Unprocessable Entity",
    "status": 422,
    "detail": "`q` is missing or null; send a text, or an array of texts, to translate.",
    "error": "`q` is missing or null; send a text, or an array of texts, to translate.",
}


PROBLEM_EXAMPLES: dict[type[Problem], object] = {
    Problem: PROBLEM_EXAMPLE,
    CompletionProblem: {
        **PROBLEM_EXAMPLE,
        "error": {
            "message": PROBLEM_EXAMPLE["detail"],
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        },
    },
}


def name_operation(route: APIRoute) -> str:
    """An operation is called as its function is."""
    return route.name


def document_body(model: type[Body]) -> dict[str, Any]:
    """Describes a body that we parse ourselves.

    Forms have the same fields and are taken, too; a generator would make a second body of them.
    """
    schema = {"$ref": REFERENCE.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


def document_errors(model: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """Describes what any route may answer besides its own answer."""
    schema = {"$ref": REFERENCE.format(model=model.__name__)}
    example = PROBLEM_EXAMPLES[model]
    return {
        "default": {
            "description": "What went wrong, as RFC 9457 says",
            "content": {PROBLEM: {"schema": schema, "example": example}},
        }
    }


def document_events(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """Describes an answer that may be a stream, by one of its events."""
    schema = {"$ref": REFERENCE.format(model=model.__name__)}
    example = EVENT_EXAMPLES[model]
    return {200: {"content": {EVENTS: {"schema": schema, "example": example}}}}


def complete_document(document: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The document of FastAPI with everything else."""
    components = document["components"]
    components["schemas"] |= describe_bodies(settings) | describe_models(
        [*PROBLEM_EXAMPLES, *EVENT_MODELS]
    )
    components["securitySchemes"] = KEY_SCHEMES
    for operations in document["paths"].values():
        for operation in operations.values():
            complete_operation(operation, settings)
    walk_schemas(document["paths"], drop_title)
    walk_schemas(components["schemas"], drop_title)
    return document


def describe_models(models: Sequence[type[BaseModel]]) -> dict[str, dict[str, Any]]:
    """The schemas of models and of all that they hold, by name."""
    _, document = models_json_schema(
        [(model, "validation") for model in models], ref_template=REFERENCE
    )
    schemas: dict[str, dict[str, Any]] = document["$defs"]
    return schemas


def describe_bodies(settings: Settings) -> dict[str, dict[str, Any]]:
    """The schemas of bodies, with the limits that the operator has set."""
    schemas = describe_models(BODIES)
    for title, schema in schemas.items():
        limits = find_limits(settings) | find_generation_limits(settings).get(title, {})
        for name, field in schema["properties"].items():
            for kind in field.get("anyOf", [field]):
                if kind.get("type") == "integer":
                    kind |= limits.get(name, {})
            if name not in schema.get("required", ()):
                accept_null(field)
            if field.get("default") in ([], {}):
                del field["default"]  # openapi-python-client gives up on models that have one
    return schemas


def find_limits(settings: Settings) -> dict[str, dict[str, int]]:
    """Limits of numbers by field. Those of texts are not here: what is too long gets 413."""
    max_beam_size = min(settings.max_beam_size, settings.max_batch_size)
    numbers = {
        "alternatives": min(settings.max_alternatives, max_beam_size - 1),
        "beam_size": max_beam_size,
        "max_new_tokens": settings.max_new_tokens,
        "timeout_ms": settings.max_timeout_ms,
    }
    return {name: {"maximum": limit} for name, limit in numbers.items()}


def find_generation_limits(settings: Settings) -> dict[str, dict[str, dict[str, int]]]:
    """The same by schema, for fields of generation."""
    num_tokens = {"maximum": settings.max_generated_tokens}
    num_texts = {"maximum": settings.max_return_sequences}
    return {
        "TextParameters": {"max_new_tokens": num_tokens, "num_return_sequences": num_texts},
        "CompletionRequest": {"max_tokens": num_tokens, "n": num_texts},
    }


def accept_null(field: dict[str, Any]) -> None:
    """Has a field that may be left out be null, which stands for that."""
    if "$ref" in field:
        field["anyOf"] = [{"$ref": field.pop("$ref")}, {"type": "null"}]
    elif "anyOf" in field:
        if {"type": "null"} not in field["anyOf"]:
            field["anyOf"].append({"type": "null"})
    else:
        field["type"] = [field["type"], "null"]
        if "enum" in field:
            field["enum"].append(None)


def complete_operation(operation: dict[str, Any], settings: Settings) -> None:
    body, answer = EXAMPLES[operation["operationId"]]
    answers = operation["responses"]["200"]["content"]
    answers[next(iter(answers))]["example"] = answer
    if "requestBody" not in operation:
        return
    operation["requestBody"]["content"][JSON]["example"] = body
    keys: list[dict[str, list[str]]] = [{name: []} for name in KEY_SCHEMES]
    operation["security"] = keys if settings.api_keys else [{}, *keys]


def walk_schemas(node: object, change: Callable[[dict[str, Any]], None]) -> None:
    """Calls a function on every object below a node that is not a table of properties."""
    if isinstance(node, list):
        for item in node:
            walk_schemas(item, change)
    elif isinstance(node, dict):
        change(node)
        for name, item in node.items():
            if name in ("example", "default"):
                continue
            inner = list(item.values()) if name == "properties" else item
            walk_schemas(inner, change)


def drop_title(schema: dict[str, Any]) -> None:
    """Drops the name that pydantic makes up for each schema."""
    schema.pop("title", None)
