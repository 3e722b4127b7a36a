import json
from typing import Any

from service.errors import DeadlineExceeded, InvalidInput
from service.http.responses.sse import format_event
from tests.service.http.fakes import FakeJob, FakePipeline, ask


def parse_events(text: str) -> list[tuple[str, Any]]:
    events = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


async def test_stream_is_tokens_and_then_the_answer() -> None:
    body = {"q": ["a b", "c"], "source": "auto", "target": "en", "stream": True}
    response = await ask("/translate", body)

    assert response.headers["content-type"].startswith("text/event-stream")
    assert (response.headers["x-model-name"], response.headers["x-request-id"] != "") == (
        *("tiny", True),
    )
    events = parse_events(response.text)
    assert [name for name, _ in events] == ["token", "token", "token", "done"]
    assert events[0][1] == {"index": 0, "text": "A "}
    whole = await ask("/translate", body | {"stream": False})
    assert events[-1][1] == whole.json()


async def test_stream_that_cannot_begin_is_an_ordinary_error() -> None:
    pipeline = FakePipeline(error=InvalidInput("no such beam"))
    response = await ask("/translate", {"q": "a", "target": "en", "stream": True}, pipeline)
    assert (response.status_code, response.json()["error"]) == (422, "no such beam")


async def test_stream_that_breaks_says_so_in_an_event() -> None:
    class BreakingPipeline(FakePipeline):
        async def answer_job(self, job: FakeJob) -> Any:
            raise DeadlineExceeded("too late")

    body = {"q": "a", "target": "en", "stream": True}
    response = await ask("/translate", body, BreakingPipeline())
    assert parse_events(response.text)[-1] == ("error", {"error": "too late"})


def test_event_is_a_name_and_one_line_of_data() -> None:
    assert format_event("done", '{"a":"é"}') == 'event: done\ndata: {"a":"é"}\n\n'.encode()


async def test_proxies_are_asked_not_to_hold_events_back() -> None:
    response = await ask("/translate", {"q": "a", "target": "en", "stream": True})
    assert (response.headers["cache-control"], response.headers["x-accel-buffering"]) == (
        *("no-store", "no"),
    )
