import asyncio
import json
import logging
from typing import Any

import httpx
import pytest

from service import errors
from service.http.app import SeqserveApp
from service.http.failures import FailureMiddleware
from service.http.middleware import RequestContextMiddleware
from service.http.problems import STATUSES, outcome_of, status_of
from service.telemetry.logs import JsonFormatter, TextFormatter, configure_logging
from service.telemetry.metrics import OUTCOMES
from tests.service.http.fakes import FakeJob, FakePipeline, FakeRegistry, connect, make_app


def all_errors(parent: type[errors.ServingError]) -> list[type[errors.ServingError]]:
    return [parent] + [each for child in parent.__subclasses__() for each in all_errors(child)]


def make_error(kind: type[errors.ServingError]) -> errors.ServingError:
    return errors.Overloaded("busy", 1.2, "wait") if kind is errors.Overloaded else kind("why")


async def classify(app: SeqserveApp, **request: Any) -> httpx.Response:
    async with connect(app) as client:
        return await client.post("/classify", **({"json": {"inputs": "a"}} | request))


@pytest.mark.parametrize("kind", all_errors(errors.ServingError)[1:])
async def test_every_error_has_a_status_and_one_body(kind: type[errors.ServingError]) -> None:
    error = make_error(kind)
    response = await classify(make_app(FakePipeline(error=error)))
    assert response.status_code == status_of(error)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "error"}
    assert body["detail"] == body["error"] == str(error)
    assert body["status"] == response.status_code


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.InvalidInput, 422),
        (errors.EmptyInput, 422),
        (errors.LanguageNotSupported, 422),
        (errors.InputTooLong, 413),
        (errors.NotAuthorized, 403),
        (errors.ModelNotFound, 404),
        (errors.ModelNotReady, 503),
        (errors.DeadlineExceeded, 504),
        (errors.InferenceFailed, 500),
    ],
)
def test_statuses_are_those_of_the_contract(kind: type[errors.ServingError], status: int) -> None:
    assert status_of(kind("why")) == status


def test_base_class_has_no_status() -> None:
    assert errors.ServingError not in STATUSES


async def test_shed_request_is_told_when_to_retry() -> None:
    response = await classify(make_app(FakePipeline(error=errors.Overloaded("busy", 1.2, "wait"))))
    assert (response.status_code, response.headers["retry-after"]) == (429, "2")


async def test_unforeseen_failure_is_ours_and_says_nothing_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    response = await classify(make_app(FakePipeline(error=ZeroDivisionError("secret"))))
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    assert "secret" not in response.text
    assert "unexpected error" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nope", 404), ("POST", "/translate/", 404), ("GET", "/translate", 405)],
)
async def test_unknown_route_is_a_problem(method: str, path: str, status: int) -> None:
    async with connect(make_app()) as client:
        response = await client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["error"]


async def test_wrong_method_is_told_the_right_one() -> None:
    async with connect(make_app()) as client:
        response = await client.put("/classify")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize("given", ["abc", "A-b_c.9", "x" * 128])
async def test_sane_request_id_comes_back(given: str) -> None:
    response = await classify(make_app(), headers={"X-Request-ID": given})
    assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\tb", "ä".encode(), "a/b", "%0a"])
async def test_other_request_id_is_replaced(given: Any) -> None:
    response = await classify(make_app(), headers={"X-Request-ID": given})
    assert len(response.headers["x-request-id"]) == 32


BAD_BODIES: list[bytes | dict[str, Any]] = [
    b"",
    b"{",
    b"\xff\xfe",
    b"null",
    b"[]",
    b"[" * 50_000,
    b'{"inputs": "\\ud800"}',
    b'{"inputs": NaN}',
    b'{"inputs": ' + b"1" * 10_000 + b"}",
    {"inputs": None},
    {"inputs": ""},
    {"inputs": []},
    {"inputs": 5},
    {"inputs": ["a", 5]},
    {"inputs": "a", "parameters": []},
    {"inputs": "a", "parameters": {"explain": True}},
    {"inputs": "a", "parameters": {"top_k": -1}},
    {"inputs": "a", "parameters": {"top_k": 10**400}},
    {"inputs": "a", "timeout_ms": -1},
]


@pytest.mark.parametrize("body", BAD_BODIES)
async def test_bad_body_is_the_clients_fault(body: bytes | dict[str, Any]) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = await classify(make_app(), json=None, content=content)
    assert response.status_code == 422
    assert response.json()["error"].endswith(".")


async def test_body_above_the_limit_is_too_long() -> None:
    response = await classify(make_app(max_body_bytes=1024), json={"inputs": "x" * 2000})
    assert response.status_code == 413
    assert "1024 bytes" in response.json()["detail"]


async def test_chunked_body_above_the_limit_is_too_long() -> None:
    async def chunks() -> Any:
        for _ in range(3):
            yield b"x" * 500

    response = await classify(make_app(max_body_bytes=1024), json=None, content=chunks())
    assert response.status_code == 413


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ufffd", "\U0010ffff", "\u202e"])
async def test_odd_characters_are_answered(text: str) -> None:
    assert (await classify(make_app(), json={"inputs": text})).status_code == 200


def samples(app: SeqserveApp, name: str) -> dict[tuple[str, ...], float]:
    registry = app.context.metrics.registry
    return {
        tuple(sample.labels.values()): sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == name
    }


@pytest.mark.parametrize(
    ("pipeline", "labels"),
    [
        (FakePipeline(), ("tiny", "ok")),
        (FakePipeline(model_name="a,b"), ("several", "ok")),
        (FakePipeline(error=errors.EmptyInput("x"), error_comes_early=True), ("none", "invalid")),
        (FakePipeline(error=errors.Overloaded("x", 1, "wait")), ("tiny", "overloaded")),
        (FakePipeline(error=errors.DeadlineExceeded("x")), ("tiny", "deadline")),
        (FakePipeline(error=errors.InferenceFailed("x")), ("tiny", "error")),
        (FakePipeline(error=ValueError("x"), error_comes_early=True), ("none", "error")),
    ],
)
async def test_task_is_counted_once(pipeline: FakePipeline, labels: tuple[str, str]) -> None:
    app = make_app(pipeline)
    await classify(app)
    assert samples(app, "seqserve_requests_total") == {labels: 1.0}
    assert samples(app, "seqserve_request_duration_seconds_count") == {(labels[0],): 1.0}


@pytest.mark.parametrize(
    ("error", "outcome", "status"),
    [
        (errors.DeadlineExceeded("x"), "deadline", 504),
        (errors.InferenceFailed("x"), "error", 500),
    ],
)
async def test_stream_that_fails_late_counts_as_what_it_came_to(
    error: Exception, outcome: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    class BreakingPipeline(FakePipeline):
        async def answer_job(self, job: FakeJob) -> Any:
            raise error

    app = make_app(BreakingPipeline())
    with caplog.at_level(logging.INFO):
        async with connect(app) as client:
            body = {"q": "a", "source": "en", "target": "de", "stream": True}
            response = await client.post("/translate", json=body)

    assert response.status_code == 200
    assert samples(app, "seqserve_requests_total") == {("tiny", outcome): 1.0}
    (line,) = [record for record in caplog.records if record.getMessage() == "request"]
    assert line.__dict__["status"] == status


async def test_pages_of_other_origins_may_ask_where_they_are_named() -> None:
    asked = {"Origin": "https://a.org", "Access-Control-Request-Method": "POST"}
    body = {"inputs": "good"}
    async with connect(make_app(cors_origins="https://a.org, https://b.org")) as client:
        preflight = await client.options("/classify", headers=asked)
        answer = await client.post("/classify", json=body, headers=asked)
        foreign = await client.post("/classify", json=body, headers={"Origin": "https://c.org"})
    async with connect(make_app()) as client:
        plain = await client.post("/classify", json=body, headers=asked)

    allowed = "access-control-allow-origin"
    assert preflight.status_code == answer.status_code == foreign.status_code == 200
    assert preflight.headers[allowed] == answer.headers[allowed] == "https://a.org"
    assert "X-Model-Name" in answer.headers["access-control-expose-headers"]
    assert allowed not in foreign.headers
    assert allowed not in plain.headers


async def test_answer_that_breaks_off_counts_as_an_error() -> None:
    async def begin(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("x")

    async def receive_nothing() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    sent: list[str] = []
    app = make_app()
    entrance = RequestContextMiddleware(FailureMiddleware(begin), app.context)
    await entrance(
        {"type": "http", "method": "POST", "path": "/classify", "headers": []},
        receive_nothing,
        send,
    )

    assert sent == ["http.response.start"]
    assert samples(app, "seqserve_requests_total") == {("none", "error"): 1.0}


async def test_other_routes_and_unknown_ones_are_not_counted() -> None:
    app = make_app()
    async with connect(app) as client:
        for path in ("/livez", "/metrics", "/nope", "/classify"):
            await client.get(path)
    assert samples(app, "seqserve_requests_total") == {}


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "ok"),
        (307, "ok"),
        (401, "unauthorized"),
        (413, "invalid"),
        (499, "cancelled"),
        (503, "not_ready"),
        (500, "error"),
    ],
)
def test_outcomes_are_a_closed_set(status: int, outcome: str) -> None:
    assert outcome_of(status) == outcome


async def test_one_log_line_per_request_without_text_or_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    app = make_app(api_keys="topsecret")
    body = {"inputs": "private words", "api_key": "topsecret"}
    await classify(app, json=body, headers={"X-Request-ID": "id-1"})
    (record,) = [each for each in caplog.records if each.name == "service.http.middleware"]
    fields = vars(record)
    assert (fields["method"], fields["path"], fields["status"]) == ("POST", "/classify", 200)
    assert (fields["model"], fields["request_id"]) == ("tiny", "id-1")
    line = TextFormatter().format(record) + JsonFormatter().format(record)
    assert "private" not in line
    assert "topsecret" not in line


async def test_path_cannot_forge_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with connect(make_app()) as client:
        await client.get("/a%0aFORGED")
    (record,) = [each for each in caplog.records if each.name == "service.http.middleware"]
    assert "\n" not in TextFormatter().format(record)


async def test_hung_up_request_is_logged_and_counted_as_cancelled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    app = make_app()

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError("nobody listens")

    scope = {
        **{"type": "http", "method": "POST", "path": "/classify", "headers": []},
        **{"query_string": b"", "scheme": "http", "http_version": "1.1", "root_path": ""},
    }
    await app(scope, receive, send)
    assert samples(app, "seqserve_requests_total") == {("none", "cancelled"): 1.0}
    assert vars(caplog.records[-1])["status"] == 499


async def test_lifespan_starts_and_stops_the_registry() -> None:
    registry = FakeRegistry()
    app = make_app(registry=registry)
    async with app.router.lifespan_context(app):
        assert (registry.num_starts, registry.num_stops) == (1, 0)
        assert not app.context.is_draining
    assert registry.num_stops == 1
    assert app.context.is_draining


async def test_failed_start_is_not_swallowed() -> None:
    app = make_app(registry=FakeRegistry(start_error=errors.ArtefactError("broken")))
    with pytest.raises(errors.ArtefactError, match="broken"):
        async with app.router.lifespan_context(app):
            pass


async def test_requests_do_not_wait_for_each_other() -> None:
    pipeline = FakePipeline(gate=asyncio.Event())
    assert pipeline.gate is not None
    app = make_app(pipeline)
    async with connect(app) as client:
        slow = asyncio.create_task(client.post("/classify", json={"inputs": "a"}))
        await pipeline.is_asked.wait()
        assert (await client.get("/livez")).status_code == 200
        pipeline.gate.set()
        assert (await slow).status_code == 200


@pytest.mark.parametrize("is_draining", [True, False])
async def test_request_that_outlives_the_drain_is_told_so(is_draining: bool) -> None:
    pipeline = FakePipeline(gate=asyncio.Event())
    app = make_app(pipeline)
    async with connect(app) as client:
        request = asyncio.create_task(client.post("/classify", json={"inputs": "a"}))
        await pipeline.is_asked.wait()
        app.context.is_draining = is_draining
        request.cancel()
        (answer,) = await asyncio.gather(request, return_exceptions=True)
    assert pipeline.was_cancelled
    assert isinstance(answer, httpx.Response) == is_draining
    assert not is_draining or answer.status_code == 503


def make_record(**extra: Any) -> logging.LogRecord:
    record = logging.LogRecord("seqserve", logging.INFO, "file", 1, "hello %s", ("you",), None)
    vars(record).update(extra)
    return record


def test_json_lines_carry_the_extra_fields() -> None:
    line = json.loads(JsonFormatter().format(make_record(status=200)))
    assert (line["message"], line["level"], line["status"]) == ("hello you", "info", 200)


def test_json_lines_carry_the_exception() -> None:
    record = make_record()
    record.exc_info = (ValueError, ValueError("x"), None)
    assert "ValueError: x" in json.loads(JsonFormatter().format(record))["exception"]


def test_text_lines_end_with_the_extra_fields() -> None:
    assert TextFormatter().format(make_record(status=200)).endswith("hello you status=200")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_logging_goes_to_stderr(log_format: Any, capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.root.handlers[:], logging.root.level
    try:
        configure_logging("info", log_format)
        logging.getLogger("service.test").info("hello", extra={"status": 200})
        assert "hello" in capsys.readouterr().err
    finally:
        logging.root.handlers[:], logging.root.level = before


@pytest.mark.parametrize(("reasons", "value"), [([], 1.0), (["the engine is stuck"], 0.0)])
async def test_readiness_is_a_metric_too(reasons: list[str], value: float) -> None:
    async with connect(make_app(None, FakeRegistry(reasons))) as client:
        text = (await client.get("/metrics")).text
    assert f"seqserve_ready {value}" in text


def test_outcomes_are_the_ones_that_are_counted_from_zero() -> None:
    counted = {
        outcome_of(status) for status in (200, 400, 401, 403, 404, 422, 429, 499, 500, 503, 504)
    }
    assert counted == set(OUTCOMES)
