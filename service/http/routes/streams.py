"""The WebSocket endpoint: text comes in as it is typed, its labels go out as they become known."""

import asyncio
import time

from fastapi import APIRouter, WebSocket, WebSocketDisconnect, status
from pydantic_core import to_json

from service.errors import InputTooLong, InvalidInput, Overloaded, ServingError
from service.http.context import AppContext
from service.http.requests.auth import authorize
from service.http.responses.problems import answer_serving_error
from service.pipeline.tagging.tag_stream import Pace, StreamedLabels, TagStream
from service.settings import Settings

streams = APIRouter()


@streams.websocket("/tag/stream")
async def tag_stream(websocket: WebSocket) -> None:
    """Labels text frames, which go on one text; an empty one ends it, and the next one begins.

    Query parameters: `model`, and `api_key` if the server wants one.
    """
    context: AppContext = websocket.app.context
    try:
        stream = open_stream(websocket, context)
    except ServingError as exc:
        await websocket.send_denial_response(await answer_serving_error(websocket, exc))
        return
    context.num_tag_streams += 1
    try:
        await websocket.accept()
        await run_stream(websocket, stream, context.settings)
    finally:
        context.num_tag_streams -= 1  # its state goes with it


def open_stream(websocket: WebSocket, context: AppContext) -> TagStream:
    """What a connection begins with.

    Raises:
        KeyMissing, NotAuthorized, ModelNotFound.
        Overloaded: there are as many connections as the operator allows.
    """
    settings, query = context.settings, websocket.query_params
    authorize(websocket, settings, query.get("api_key"))
    limit = settings.max_tag_streams
    if context.num_tag_streams >= limit:
        raise Overloaded(
            f"{limit} texts are being labelled as they come in, the most that this server takes; "
            "try again later",
            1.0,
            "requests",
        )
    served = context.registry.find_stream_tagger(query.get("model"))
    metrics = context.metrics.of_model(served.manifest.name)
    timeout_seconds = settings.default_timeout_ms / 1000
    return TagStream(served, timeout_seconds, settings.max_text_chars, metrics)


async def run_stream(websocket: WebSocket, stream: TagStream, settings: Settings) -> None:
    """Answers frames until the client or an error ends the connection."""
    pace = Pace(settings.max_stream_chars_per_second, time.monotonic)
    try:
        while True:
            text = await receive_text(websocket, stream, settings.max_frame_chars)
            labels = await (stream.read(text) if text else stream.finish())
            await websocket.send_text(show_labels(labels))
            await asyncio.sleep(pace.spend(len(text)))
    except ServingError as exc:
        await websocket.send_text(to_json({"error": str(exc)}).decode())
        await websocket.close(close_code(exc))
    except WebSocketDisconnect:
        return


async def receive_text(websocket: WebSocket, stream: TagStream, max_chars: int) -> str:
    """The next piece of the text; empty at its end.

    Raises:
        InvalidInput: the frame is not text.
        InputTooLong: the frame, or the text with it, is above its limit.
        WebSocketDisconnect: the client has gone.
    """
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", status.WS_1005_NO_STATUS_RCVD))
    text = message.get("text")
    if text is None:
        raise InvalidInput("a frame is binary; send text frames")
    if len(text) > max_chars:
        raise InputTooLong(
            f"a frame has {len(text)} characters, above the limit of {max_chars}; send it in parts"
        )
    if stream.num_chars + len(text) > stream.max_chars:
        raise InputTooLong(
            f"the text has more than {stream.max_chars} characters; end it with an empty frame"
        )
    return str(text)


def show_labels(labels: StreamedLabels) -> str:
    """An event as JSON."""
    event: dict[str, object] = {
        "entities": [
            {
                "entity": each.label,
                "score": each.score,
                "word": each.word,
                "start": each.start,
                "end": each.end,
            }
            for each in labels.entities
        ],
        "end": labels.end,
    }
    if labels.is_final:
        event["final"] = True
    if labels.rendered is not None:
        event["text"] = labels.rendered
    return to_json(event).decode()


def close_code(error: ServingError) -> int:
    """Whose fault it was, in the words of RFC 6455, section 7.4.1."""
    if isinstance(error, InputTooLong):
        return status.WS_1009_MESSAGE_TOO_BIG
    if isinstance(error, InvalidInput):
        return status.WS_1003_UNSUPPORTED_DATA
    return status.WS_1013_TRY_AGAIN_LATER
