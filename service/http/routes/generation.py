"""The endpoints of language models, as TGI has them, and what all streams of texts share."""

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
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
from service.errors import ServingError
from service.http.context import find_request_context, get_context
from service.http.openapi import document_body, document_events
from service.http.responses.answers import name_model, reply
from service.http.responses.sse import EventResponse, format_data
from service.http.routes.tasks import (
    check_fields,
    find_deadline,
    perform,
    receive,
    receive_fields,
)
from service.http.wires.tgi import (
    DataEvent,
    GenerateRequest,
    GenerateResponse,
    TokenEvent,
    show_delta,
    show_error,
    show_texts,
)

generation = APIRouter(tags=["tasks"])


@dataclass(frozen=True)
class StreamWire:
    """How a stream looks.

    Attributes:
        show: gives the data of the events for an item of the pipeline; None stands for no event.
        show_error: gives that of an error, which ends the stream.
        end: sent after the last event of a stream that went well.
    """

    show: Callable[[TokenDelta | GenerateAnswer], Iterable[dict[str, Any] | None]]
    show_error: Callable[[ServingError], dict[str, Any]]
    end: bytes = b""


@generation.post(
    "/generate",
    response_model=GenerateResponse | list[GenerateResponse],
    responses=document_events(DataEvent),
    openapi_extra=document_body(GenerateRequest),
)
async def generate(request: Request) -> Response:
    """Goes on from a text, answers it, or writes one by a label or features, as TGI does."""
    get_context(request).generate.check_wait()
    body = await receive(request, get_context(request).settings, GenerateRequest)
    return await answer_inputs(request, body, as_list=False)


@generation.post(
    "/generate_stream",
    response_model=TokenEvent,
    responses=document_events(DataEvent),
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

        wire = StreamWire(show, show_error)
        return await stream(request, body.prompts, body.options, deadline, lambda: wire)
    answer = await perform(request, context.generate, body.prompts, body.options, deadline)
    shown = show_texts(answer.texts, body)
    is_single = body.parameters.num_return_sequences == 1 and not as_list
    return reply(request, answer, to_json(shown[0] if is_single else shown))


async def stream(
    request: Request,
    prompts: list[Prompt],
    options: GenerateOptions,
    deadline: float,
    open_wire: Callable[[], StreamWire],
) -> Response:
    """Texts as events; what can be known before they begin is answered as elsewhere.

    Args:
        request: of the client.
        prompts: to go on from.
        options: of the request.
        deadline: monotonic seconds.
        open_wire: called once the model is known.
    """
    pipeline = get_context(request).generate
    job = await pipeline.open_job(prompts, options, deadline)
    find_request_context(request.scope).model_names = job.model_names
    events = pipeline.stream_job(job)
    started = await anext(events)
    assert isinstance(started, Started)
    shown = show_events(request, events, open_wire())
    return EventResponse(shown, name_model(started))


async def show_events(
    request: Request, events: AsyncGenerator[GenerateEvent, None], wire: StreamWire
) -> AsyncGenerator[bytes, None]:
    """Events as they go over the wire; an error becomes the last one."""
    async with aclosing(events):
        try:
            async for item in events:
                assert not isinstance(item, Started), "it comes once"
                if isinstance(item, GenerateAnswer):
                    find_request_context(request.scope).timings = item.timings
                for data in wire.show(item):
                    if data is not None:
                        yield format_data(to_json(data).decode())
            yield wire.end
        except ServingError as exc:  # the status is out already
            find_request_context(request.scope).error = exc
            yield format_data(to_json(wire.show_error(exc)).decode())
