"""The endpoints of language models, as OpenAI has them."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from service.answers import GenerateAnswer, TokenDelta
from service.errors import ModelNotFound, ServingError
from service.http.context import find_request_context, get_context
from service.http.openapi import document_body, document_events
from service.http.responses.answers import reply
from service.http.responses.problems import status_of
from service.http.responses.sse import format_data
from service.http.routes.generation import StreamWire, stream
from service.http.routes.tasks import find_deadline, perform, receive
from service.http.wires.openai import (
    Completion,
    CompletionRequest,
    CompletionWriter,
    ModelCard,
    ModelCards,
    describe_error,
)
from service.http.wires.tgi import DataEvent
from service.repository.manifest import GENERATIVE

completions = APIRouter(tags=["tasks"])


@completions.post(
    "/v1/completions",
    response_model=Completion,
    responses=document_events(DataEvent),
    openapi_extra=document_body(CompletionRequest),
)
async def create_completion(request: Request) -> Response:
    """Goes on from a text or several, or answers them, as OpenAI does."""
    context = get_context(request)
    context.generate.check_wait()
    body = await receive(request, context.settings, CompletionRequest)
    deadline = find_deadline(request, context, body)
    if body.stream:
        return await stream(
            request, body.prompts, body.options, deadline, lambda: open_wire(request, body)
        )
    answer = await perform(request, context.generate, body.prompts, body.options, deadline)
    return reply(request, answer, to_json(open_writer(request, body).show(answer.texts)))


def open_wire(request: Request, body: CompletionRequest) -> StreamWire:
    writer = open_writer(request, body)
    prompts = writer.show_prompts()

    def show(item: TokenDelta | GenerateAnswer) -> Iterable[dict[str, Any] | None]:
        if isinstance(item, TokenDelta):
            yield from prompts
            prompts.clear()
            yield writer.show_delta(item)
        elif body.wants_usage:
            yield writer.show_end(item.texts)

    return StreamWire(show, show_error, end=format_data("[DONE]"))


def show_error(error: ServingError) -> dict[str, Any]:
    return {"error": describe_error(status_of(error), str(error)).model_dump()}


def open_writer(request: Request, body: CompletionRequest) -> CompletionWriter:
    known = find_request_context(request.scope)
    return CompletionWriter(body, known.request_id, known.model_names)


@completions.get("/v1/models")
async def list_model_cards(request: Request) -> ModelCards:
    """Models that complete texts, as OpenAI lists them."""
    return ModelCards(data=list_cards(request))


@completions.get("/v1/models/{name}")
async def show_model_card(request: Request, name: str) -> ModelCard:
    """One of them."""
    cards = list_cards(request)
    for card in cards:
        if card.id == name:
            return card
    known = ", ".join(card.id for card in cards) or "none"
    raise ModelNotFound(f"no model that completes texts has that name; there are {known}")


def list_cards(request: Request) -> list[ModelCard]:
    registry = get_context(request).registry
    return [ModelCard(id=served.manifest.name) for served in registry.models_of(*GENERATIVE)]
