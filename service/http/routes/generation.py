"""The endpoints of language models: TGI's, and OpenAI's."""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from service.answers import (
    GenerateAnswer,
    GenerateEvent,
    GenerateOptions,
    Prompt,
    Started,
    TokenDelta,
)
from service.errors import ModelNotFound, ServingError
from service.http.context import find_request_context, get_context
from service.http.disconnect import run_watched
from service.http.openapi import document_body, document_events
from service.http.responses import name_model, reply
from service.http.routes.tasks import (
    check_fields,
    find_deadline,
    perform,
    receive,
    receive_fields,
)
from service.http.sse import EventResponse, format_data
from service.http.wires.openai import (
    Completion,
    CompletionRequest,
    CompletionWriter,
    ModelCard,
    ModelCards,
)
from service.http.wires.tgi import (
    GenerateRequest,
    GenerateResponse,
    TokenEvent,
    show_delta,
    show_texts,
)
from service.pipeline.prompts import LANGUAGE

generation = APIRouter(tags=["tasks"])

Show = Callable[[TokenDelta | GenerateAnswer], Iterable[dict[str, Any] | None]]


@generation.post(
    "/generate",
    response_model=GenerateResponse | list[GenerateResponse],
    responses=document_events(TokenEvent),
    openapi_extra=document_body(GenerateRequest),
)
async def generate(request: Request) -> Response:
    """Goes on from a text, or writes one by a label or features, as TGI does."""
    get_context(request).generate.check_wait()
    body = await receive(request, get_context(request).settings, GenerateRequest)
    return await answer_inputs(request, body, as_list=False)


@generation.post(
    "/generate_stream",
    response_model=TokenEvent,
    responses=document_events(TokenEvent),
    openapi_extra=document_body(GenerateRequest),
)
async def generate_stream(request: Request) -> Response:
    """The same with `stream`."""
    get_context(request).generate.check_wait()
    fields = await receive_fields(request, get_context(request).settings)
    body = check_fields({**fields, "stream": True}, GenerateRequest)
    return await answer_inputs(request, body, as_list=False)


async def generate_list(request: Request) -> Response:
    """The same for clients that know the server's address alone: one text is an array, too."""
    get_context(request).generate.check_wait()
    body = await receive(request, get_context(request).settings, GenerateRequest)
    return await answer_inputs(request, body, as_list=True)


async def answer_inputs(request: Request, body: GenerateRequest, *, as_list: bool) -> Response:
    context = get_context(request)
    deadline = find_deadline(request, context, body)
    if body.stream:

        def show(item: TokenDelta | GenerateAnswer) -> Iterable[dict[str, Any] | None]:
            return [show_delta(item, body)] if isinstance(item, TokenDelta) else []

        return await stream(request, body.prompts, body.options, deadline, lambda _: show)
    work = perform(request, context.generate, body.prompts, body.options, deadline)
    answer = await run_watched(request.receive, work)
    shown = show_texts(answer.texts, body)
    is_single = body.parameters.num_return_sequences == 1 and not as_list
    return reply(request, answer, to_json(shown[0] if is_single else shown))


@generation.post(
    "/v1/completions",
    response_model=Completion,
    responses=document_events(Completion),
    openapi_extra=document_body(CompletionRequest),
)
async def create_completion(request: Request) -> Response:
    """Goes on from a text, or from several, as OpenAI does."""
    context = get_context(request)
    context.generate.check_wait()
    body = await receive(request, context.settings, CompletionRequest)
    deadline = find_deadline(request, context, body)
    if body.stream:
        return await stream_completion(request, body, deadline)
    work = perform(request, context.generate, body.prompts, body.options, deadline)
    answer = await run_watched(request.receive, work)
    return reply(request, answer, to_json(open_writer(request, body).show(answer.texts)))


async def stream_completion(request: Request, body: CompletionRequest, deadline: float) -> Response:
    def open_show(_: Started) -> Show:
        writer = open_writer(request, body)
        prompts = writer.show_prompts()

        def show(item: TokenDelta | GenerateAnswer) -> Iterable[dict[str, Any] | None]:
            if isinstance(item, TokenDelta):
                yield from prompts
                prompts.clear()
                yield writer.show_delta(item)
            elif body.wants_usage:
                yield writer.show_end(item.texts)

        return show

    return await stream(
        request, body.prompts, body.options, deadline, open_show, end=format_data("[DONE]")
    )


def open_writer(request: Request, body: CompletionRequest) -> CompletionWriter:
    known = find_request_context(request.scope)
    return CompletionWriter(body, known.request_id, known.model_names)


async def stream(
    request: Request,
    prompts: list[Prompt],
    options: GenerateOptions,
    deadline: float,
    open_show: Callable[[Started], Show],
    end: bytes = b"",
) -> Response:
    """Texts as events; what can be known before they begin is answered as elsewhere.

    Args:
        request: of the client.
        prompts: to go on from.
        options: of the request.
        deadline: monotonic seconds.
        open_show: gives what turns items of the pipeline into the data of events.
        end: sent after the last event of a stream that went well.
    """
    pipeline = get_context(request).generate
    job = await pipeline.open_job(prompts, options, deadline)
    find_request_context(request.scope).model_names = job.model_names
    events = pipeline.stream_job(job)
    started = await anext(events)
    assert isinstance(started, Started)
    shown = show_events(request, events, open_show(started), end)
    return EventResponse(shown, name_model(started))


async def show_events(
    request: Request, events: AsyncGenerator[GenerateEvent, None], show: Show, end: bytes
) -> AsyncGenerator[bytes, None]:
    """Events as they go over the wire; an error becomes the last one."""
    async with aclosing(events):
        try:
            async for item in events:
                assert not isinstance(item, Started), "it comes once"
                if isinstance(item, GenerateAnswer):
                    find_request_context(request.scope).timings = item.timings
                for data in show(item):
                    if data is not None:
                        yield format_data(to_json(data).decode())
            yield end
        except ServingError as exc:  # the status is out already
            find_request_context(request.scope).error = exc
            yield format_data(to_json({"error": str(exc), "error_type": "generation"}).decode())


@generation.get("/v1/models")
async def list_model_cards(request: Request) -> ModelCards:
    """Models that complete texts, as OpenAI lists them."""
    return ModelCards(data=list_cards(request))


@generation.get("/v1/models/{name}")
async def show_model_card(request: Request, name: str) -> ModelCard:
    """One of them."""
    cards = list_cards(request)
    for card in cards:
        if card.id == name:
            return card
    known = ", ".join(card.id for card in cards) or "none"
    raise ModelNotFound(f"no {LANGUAGE} model has that name; there are {known}")


def list_cards(request: Request) -> list[ModelCard]:
    registry = get_context(request).registry
    return [ModelCard(id=served.manifest.name) for served in registry.models_of(LANGUAGE)]
