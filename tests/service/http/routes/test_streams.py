"""The WebSocket of a tagger with random weights; `tests/integration` has it in a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from service.answers import Entity
from service.errors import (
    DeadlineExceeded,
    EmptyInput,
    InputTooLong,
    InvalidInput,
    Overloaded,
    ServingError,
)
from service.http.app import create_app
from service.http.routes.streams import close_code, show_labels
from service.pipeline.tagging.tag_stream import StreamedLabels
from service.settings import Settings

TEXT = "나는학교에간다."


@pytest.fixture
def settings(tiny_taggers: Path) -> Settings:
    return Settings(
        models_dir=tiny_taggers,
        device="cpu",
        max_frame_chars=20,
        max_text_chars=30,
        max_tag_streams=2,
        max_stream_chars_per_second=100_000,
    )


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


def test_frames_are_answered_and_an_empty_one_ends_the_text(client: TestClient) -> None:
    with client.websocket_connect("/tag/stream") as socket:
        socket.send_text(TEXT)
        first = socket.receive_json()
        socket.send_text("")
        last = socket.receive_json()
        socket.send_text(TEXT)
        again = socket.receive_json()

    assert (first["end"], last["end"]) == (len(TEXT) - 2, len(TEXT))  # the model looks two ahead
    assert (last["final"], last["text"].replace(" ", "")) == (True, TEXT)
    assert again == first


@pytest.mark.parametrize(
    ("frames", "code", "named"),
    [
        (["가" * 21], 1009, "a frame has 21 characters, above the limit of 20"),
        (["가" * 20, "가" * 11], 1009, "the text has more than 30 characters"),
        ([b"\x00"], 1003, "a frame is binary; send text frames"),
    ],
)
def test_a_frame_that_is_not_right_is_named_and_ends_the_connection(
    frames: list[str | bytes], code: int, named: str, client: TestClient
) -> None:
    with client.websocket_connect("/tag/stream") as socket:
        for frame in frames[:-1]:
            assert isinstance(frame, str)
            socket.send_text(frame)
            socket.receive_json()
        last = frames[-1]
        socket.send_bytes(last) if isinstance(last, bytes) else socket.send_text(last)

        assert named in socket.receive_json()["error"]
        with pytest.raises(WebSocketDisconnect) as caught:
            socket.receive_json()
    assert caught.value.code == code


def test_the_text_after_an_end_has_its_own_limit(client: TestClient) -> None:
    with client.websocket_connect("/tag/stream") as socket:
        for frame in ("가" * 20, "", "가" * 20, ""):
            socket.send_text(frame)
            event = socket.receive_json()

    assert event["end"] == 20


def test_a_connection_too_many_is_refused_until_another_ends(client: TestClient) -> None:
    with client.websocket_connect("/tag/stream"), client.websocket_connect("/tag/stream"):
        with (
            pytest.raises(WebSocketDenialResponse) as caught,
            client.websocket_connect("/tag/stream"),
        ):
            pass
        assert caught.value.status_code == 429
        assert "2 texts are being labelled" in caught.value.json()["detail"]
    with client.websocket_connect("/tag/stream") as socket:
        socket.send_text("")
        assert socket.receive_json()["final"]


@pytest.mark.parametrize(
    ("query", "status"), [("?model=nothing", 404), ("?model=tiny-tagging-gru", 404)]
)
def test_a_model_that_streams_nothing_is_refused(
    query: str, status: int, client: TestClient
) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as caught,
        client.websocket_connect(f"/tag/stream{query}"),
    ):
        pass
    assert caught.value.status_code == status


def test_a_key_is_wanted_in_the_query(settings: Settings) -> None:
    secured = settings.model_copy(update={"api_keys": (SecretStr("secret"),)})
    with TestClient(create_app(secured)) as client:
        with (
            pytest.raises(WebSocketDenialResponse) as caught,
            client.websocket_connect("/tag/stream"),
        ):
            pass
        assert caught.value.status_code == 401
        with client.websocket_connect("/tag/stream?api_key=secret") as socket:
            socket.send_text("")
            assert socket.receive_json()["final"]


def test_an_event_says_no_more_than_is_known() -> None:
    entity = Entity("SPACE", 0.5, "는", 1, 2)

    assert show_labels(StreamedLabels([], 0)) == '{"entities":[],"end":0}'
    assert show_labels(StreamedLabels([entity], 2, is_final=True, rendered="나는 ")) == (
        '{"entities":[{"entity":"SPACE","score":0.5,"word":"는","start":1,"end":2}],"end":2,'
        '"final":true,"text":"나는 "}'
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputTooLong("x"), 1009),
        (InvalidInput("x"), 1003),
        (EmptyInput("x"), 1003),
        (Overloaded("x", 1.0, "wait"), 1013),
        (DeadlineExceeded("x"), 1013),
    ],
)
def test_a_close_code_says_whose_fault_it_was(error: ServingError, code: int) -> None:
    assert close_code(error) == code
