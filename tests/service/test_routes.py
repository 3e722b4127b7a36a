import asyncio
import json
from typing import Any

import httpx
import pytest

from service.errors import DeadlineExceeded, InvalidInput, ModelNotFound, Overloaded
from service.http.app import SeqserveApp
from service.http.responses import format_timings
from tests.service.http.fakes import TIMINGS, FakeJob, FakePipeline, FakeRegistry, connect, make_app


async def ask(
    path: str, body: Any, pipeline: FakePipeline | None = None, **settings: Any
) -> httpx.Response:
    async with connect(make_app(pipeline, **settings)) as client:
        return await client.post(path, json=body)


async def fetch(path: str, registry: FakeRegistry | None = None, **settings: Any) -> httpx.Response:
    async with connect(make_app(None, registry, **settings)) as client:
        return await client.get(path)


async def test_translation_of_a_string_is_a_string() -> None:
    response = await ask("/translate", {"q": "hund", "source": "de", "target": "en"})
    assert response.status_code == 200
    assert response.json() == {"translatedText": "HUND"}


async def test_translation_of_an_array_is_an_array() -> None:
    response = await ask("/translate", {"q": ["a", "b"], "source": "de", "target": "en"})
    assert response.json() == {"translatedText": ["A", "B"]}


@pytest.mark.parametrize("source", [{}, {"source": "auto"}])
async def test_detected_language_is_shown_for_auto_only(source: dict[str, str]) -> None:
    response = await ask("/translate", {"q": "hund", "target": "en", **source})
    detected = {"language": "de", "confidence": 90.0}
    assert response.json() == {"translatedText": "HUND", "detectedLanguage": detected}


async def test_detected_languages_are_an_array_for_an_array() -> None:
    response = await ask("/translate", {"q": ["a"], "target": "en"})
    assert response.json()["detectedLanguage"] == [{"language": "de", "confidence": 90.0}]


@pytest.mark.parametrize(
    ("q", "alternatives"), [("a", ["A 1", "A 2"]), (["a", "b"], [["A 1", "A 2"], ["B 1", "B 2"]])]
)
async def test_alternatives_are_shown_where_asked_for(q: Any, alternatives: Any) -> None:
    body = {"q": q, "source": "de", "target": "en", "alternatives": 2}
    response = await ask("/translate", body)
    assert response.json()["alternatives"] == alternatives


@pytest.mark.parametrize(("q", "depth"), [("a", 0), (["a"], 1)])
async def test_attention_is_shown_where_asked_for(q: Any, depth: int) -> None:
    response = await ask("/translate", {"q": q, "source": "de", "target": "en", "attention": True})
    found = response.json()["attention"]
    expected = {"source_tokens": ["a"], "target_tokens": ["A", "</s>"], "weights": [[1.0], [0.5]]}
    assert (found[0] if depth else found) == [expected]


async def test_options_reach_the_pipeline() -> None:
    pipeline = FakePipeline()
    options = {"beam_size": 3, "max_new_tokens": 9, "format": "html", "alternatives": 1}
    await ask("/translate", {"q": "a", "source": "de", "target": "en", **options}, pipeline)
    (texts, given) = pipeline.calls[0]
    assert texts == ["a"]
    assert (given.beam_size, given.max_new_tokens, given.text_format, given.alternatives) == (
        *(3, 9, "html", 1),
    )


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


async def test_hang_up_closes_a_stream() -> None:
    pipeline = FakePipeline(gate=asyncio.Event())
    app = make_app(pipeline)
    await hang_up_during(app, "/translate", {"q": "a", "target": "en", "stream": True}, pipeline)
    assert pipeline.is_stream_closed


@pytest.mark.parametrize("path", ["/classify", "/translate"])
async def test_overload_is_told_before_the_body_is_read(path: str) -> None:
    pipeline = FakePipeline(refusal=Overloaded("busy", 3.2, "wait"))
    response = await ask(path, {"nothing": "right"}, pipeline)
    assert (response.status_code, response.headers["retry-after"]) == (429, "4")


@pytest.mark.parametrize("inputs", ["a", ["a"]])
async def test_labels_are_nested_also_for_one_text(inputs: Any) -> None:
    response = await ask("/classify", {"inputs": inputs})
    assert response.json() == [
        [{"label": "positive", "score": 0.75}, {"label": "negative", "score": 0.25}]
    ]


async def test_parameters_reach_the_pipeline() -> None:
    pipeline = FakePipeline()
    parameters = {"top_k": 1, "function_to_apply": "sigmoid", "model": "tiny"}
    response = await ask("/classify", {"text": ["a", "b"], "parameters": parameters}, pipeline)
    assert [len(labels) for labels in response.json()] == [1, 1]
    (texts, given) = pipeline.calls[0]
    assert texts == ["a", "b"]
    assert (given.top_k, given.function_to_apply, given.model) == (1, "sigmoid", "tiny")


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/translate", {"q": "a", "source": "de", "target": "en", "alternatives": "1"}),
        ("/classify", {"inputs": "a"}),
        ("/classify", {"text": "a"}),
        ("/detect", {"q": "a"}),
    ],
)
async def test_forms_are_answered(path: str, fields: dict[str, str]) -> None:
    async with connect(make_app()) as client:
        urlencoded = await client.post(path, data=fields)
        multipart = await client.post(path, files={name: (None, x) for name, x in fields.items()})
    assert urlencoded.status_code == multipart.status_code == 200
    assert urlencoded.json() == multipart.json()


@pytest.mark.parametrize("path", ["/translate", "/classify"])
async def test_task_says_in_headers_what_answered_and_how_long_it_took(path: str) -> None:
    response = await ask(path, {"q": "a", "inputs": "a", "source": "de", "target": "en"})
    assert response.headers["x-model-name"] == "tiny"
    assert response.headers["x-model-version"] == "3"
    assert response.headers["server-timing"] == format_timings(TIMINGS)


def test_timings_are_in_milliseconds() -> None:
    expected = "tokenize;dur=1.000, queue;dur=2.000, inference;dur=3.500, total;dur=7.500"
    assert format_timings(TIMINGS) == expected


async def test_answer_without_a_model_names_none() -> None:
    response = await ask(
        "/translate", {"q": "a", "source": "en", "target": "en"}, FakePipeline(model_name="")
    )
    assert response.status_code == 200
    assert "x-model-name" not in response.headers


async def test_unlikely_languages_are_not_detected() -> None:
    response = await ask("/detect", {"q": "Hund"})
    assert response.json() == [
        {"confidence": 90.0, "language": "de"},
        {"confidence": 10.0, "language": "en"},
    ]


async def test_something_is_detected_even_without_letters() -> None:
    assert (await ask("/detect", {"q": " "})).json() == [{"confidence": 0.0, "language": "en"}]


async def test_languages_are_listed_as_libretranslate_does() -> None:
    assert (await fetch("/languages")).json()[0] == {
        "code": "en",
        "name": "English",
        "targets": ["de", "en"],
    }


@pytest.mark.parametrize("keys", ["", "secret"])
async def test_frontend_learns_whether_a_key_is_needed(keys: str) -> None:
    shown = (await fetch("/frontend/settings", api_keys=keys)).json()
    assert shown["keyRequired"] == shown["apiKeys"] == bool(keys)
    assert shown["charLimit"] == 100_000
    assert shown["language"]["target"] == {"code": "de", "name": "German"}


async def test_models_are_listed_with_what_an_operator_must_know() -> None:
    (model,) = (await fetch("/models")).json()
    assert (model["name"], model["version"], model["cell"]) == ("tiny", "3", "gru")
    assert (model["precision"], model["device"], model["num_bytes"]) == ("fp32", "cpu", 15)
    assert (model["licences"], model["commercial_use"]) == (["CC0-1.0"], True)
    assert model["quality"][0]["value"] == 81.5
    assert model["headlines"] == model["quality"]


async def test_server_is_live_even_when_it_is_not_ready() -> None:
    registry = FakeRegistry(reasons=["an engine does not answer"])
    assert (await fetch("/livez", registry)).status_code == 200


async def test_server_is_ready_when_nothing_is_wrong() -> None:
    response = await fetch("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})


async def test_server_that_is_not_ready_says_why() -> None:
    response = await fetch("/readyz", FakeRegistry(reasons=["engine tiny does not answer"]))
    assert response.status_code == 503
    assert "engine tiny does not answer" in response.json()["detail"]


@pytest.mark.parametrize(("reasons", "status"), [([], 200), (["x"], 503)])
async def test_probes_may_ask_with_head(reasons: list[str], status: int) -> None:
    async with connect(make_app(None, FakeRegistry(reasons=reasons))) as client:
        assert (await client.head("/readyz")).status_code == status
        assert (await client.head("/livez")).status_code == 200


async def test_draining_server_is_not_ready_but_answers() -> None:
    app = make_app()
    app.context.is_draining = True
    async with connect(app) as client:
        response = await client.get("/readyz")
        answer = await client.post("/classify", json={"inputs": "a"})
    assert (response.status_code, answer.status_code) == (503, 200)
    assert "stopping" in response.json()["detail"]


async def test_metrics_are_prometheus_text() -> None:
    response = await fetch("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert "seqserve_requests_total" in response.text


@pytest.mark.parametrize(
    ("accepted", "kind"),
    [
        ("application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1", "application/openmetrics"),
        ("application/openmetrics-text;version=nonsense", "application/openmetrics"),
        ("text/plain;version=nonsense", "text/plain"),
        ("*/*", "text/plain"),
    ],
)
async def test_metrics_come_in_the_format_that_is_accepted(accepted: str, kind: str) -> None:
    async with connect(make_app(None)) as client:
        response = await client.get("/metrics", headers={"Accept": accepted})

    assert response.headers["content-type"].startswith(kind)
    assert response.text.endswith("# EOF\n") == ("openmetrics" in kind)


async def test_page_needs_nothing_from_elsewhere() -> None:
    response = await fetch("/")
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "https://" not in response.text


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_pages_answer_head(path: str) -> None:
    async with connect(make_app()) as client:
        assert (await client.head(path)).status_code == 200


async def test_documentation_needs_nothing_from_elsewhere() -> None:
    async with connect(make_app()) as client:
        page = await client.get("/docs")
        script = await client.get("/docs/assets/swagger-ui-bundle.js")
        document = await client.get("/openapi.json")
    assert "https://" not in page.text
    assert script.status_code == 200
    assert document.json()["components"]["schemas"]["TranslateRequest"]["required"] == [
        "q",
        "target",
    ]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Authorization": "Bearer right"}, {}),
        ({"Authorization": "bearer second"}, {}),
        ({"X-API-Key": "right"}, {}),
        ({}, {"api_key": "right"}),
        ({"Authorization": "Basic eA=="}, {"api_key": "right"}),
    ],
)
@pytest.mark.parametrize("path", ["/translate", "/classify", "/detect"])
async def test_known_key_is_let_in(
    path: str, headers: dict[str, str], body: dict[str, str]
) -> None:
    fields = {"q": "a", "inputs": "a", "target": "en", **body}
    async with connect(make_app(api_keys="right,second")) as client:
        response = await client.post(path, json=fields, headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, {}, 401),
        ({}, {"api_key": ""}, 401),
        ({}, {"api_key": 5}, 401),
        ({"Authorization": "Basic eA=="}, {}, 401),
        ({"Authorization": "Bearer"}, {}, 401),
        ({"Authorization": "Bearer wrong"}, {}, 403),
        ({"X-API-Key": "right"}, {"api_key": "wrong"}, 200),
        ({"X-API-Key": "right,second"}, {}, 403),
        ({"X-API-Key": b"\xff"}, {}, 403),
        ({}, {"api_key": "wröng"}, 403),
    ],
)
async def test_unknown_key_is_kept_out(
    headers: dict[str, Any], body: dict[str, Any], status: int
) -> None:
    pipeline = FakePipeline()
    async with connect(make_app(pipeline, api_keys="right,second")) as client:
        response = await client.post("/classify", json={"inputs": "a", **body}, headers=headers)
    assert response.status_code == status
    assert (response.headers.get("www-authenticate") == "Bearer") == (status == 401)
    assert len(pipeline.calls) == (status == 200)


@pytest.mark.parametrize("path", ["/languages", "/models", "/readyz", "/metrics", "/", "/docs"])
async def test_reading_needs_no_key(path: str) -> None:
    assert (await fetch(path, api_keys="right")).status_code == 200


@pytest.mark.parametrize(
    ("in_body", "in_header", "seconds"),
    [
        (None, None, 5.0),
        (2000, None, 2.0),
        (None, "3000", 3.0),
        (2000, "3000", 2.0),
        (3000, "2000", 2.0),
    ],
)
async def test_shorter_timeout_is_the_deadline(
    in_body: int | None, in_header: str | None, seconds: float
) -> None:
    pipeline = FakePipeline()
    headers = {"X-Request-Timeout-Ms": in_header} if in_header else {}
    async with connect(make_app(pipeline, default_timeout_ms=5000)) as client:
        body = {"inputs": "a", "timeout_ms": in_body}
        await client.post("/classify", json=body, headers=headers)
    assert pipeline.remaining_seconds == pytest.approx(seconds, abs=0.5)


@pytest.mark.parametrize("in_header", ["0", "-1", "1.5", "soon", "", "9" * 30, "120001"])
async def test_bad_timeout_header_is_refused(in_header: str) -> None:
    async with connect(make_app()) as client:
        response = await client.post(
            "/classify", json={"inputs": "a"}, headers={"X-Request-Timeout-Ms": in_header}
        )
    assert response.status_code == 422


@pytest.mark.parametrize("timeout_ms", [0, -5, 120_001, 10**30, "soon", True, 1.5])
async def test_bad_timeout_is_refused(timeout_ms: Any) -> None:
    response = await ask("/classify", {"inputs": "a", "timeout_ms": timeout_ms})
    assert response.status_code == 422


async def test_unknown_pair_is_not_found() -> None:
    error = ModelNotFound("no model translates en-xx; there are en-de")
    body = {"q": "a", "source": "en", "target": "xx"}
    response = await ask("/translate", body, FakePipeline(error=error))
    assert response.status_code == 404
    assert response.json()["error"] == str(error)


@pytest.mark.parametrize("path", ["/translate", "/classify"])
async def test_hang_up_cancels_the_work(path: str) -> None:
    pipeline = FakePipeline(gate=asyncio.Event())
    body = {"q": "a", "inputs": "a", "target": "en"}
    assert await hang_up_during(make_app(pipeline), path, body, pipeline) == []
    assert pipeline.was_cancelled


async def hang_up_during(
    app: SeqserveApp, path: str, body: dict[str, Any], pipeline: FakePipeline
) -> list[Any]:
    """Sends a request, hangs up as soon as the pipeline works on it; returns what was sent back."""
    hung_up = asyncio.Event()
    sent: list[Any] = []
    bodies = [json.dumps(body).encode()]

    async def receive() -> dict[str, Any]:
        if bodies:
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}
        await hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        **{"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": []},
        **{"scheme": "http", "http_version": "1.1", "root_path": "", "raw_path": path.encode()},
    }
    request = asyncio.create_task(app(scope, receive, send))
    await pipeline.is_asked.wait()
    hung_up.set()
    await asyncio.wait_for(request, 5)
    return sent


async def test_upload_that_never_ends_is_given_up() -> None:
    async def drip() -> Any:
        yield b'{"inputs":'
        await asyncio.Event().wait()

    app = make_app(max_timeout_ms=50, default_timeout_ms=50)
    async with connect(app) as client:
        response = await client.post("/classify", content=drip())
    assert response.status_code == 408
