import asyncio
import logging
from typing import Any

import pytest

from service import errors
from service.telemetry.logs import JsonFormatter, TextFormatter
from tests.service.http.fakes import (
    FakeJob,
    FakePipeline,
    classify,
    connect,
    hang_up_during,
    make_app,
    samples,
)


@pytest.mark.parametrize("given", ["abc", "A-b_c.9", "x" * 128])
async def test_sane_request_id_comes_back(given: str) -> None:
    response = await classify(make_app(), headers={"X-Request-ID": given})
    assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\tb", "ä".encode(), "a/b", "%0a"])
async def test_other_request_id_is_replaced(given: Any) -> None:
    response = await classify(make_app(), headers={"X-Request-ID": given})
    assert len(response.headers["x-request-id"]) == 32


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


async def test_other_routes_and_unknown_ones_are_not_counted() -> None:
    app = make_app()
    async with connect(app) as client:
        for path in ("/livez", "/metrics", "/nope", "/classify"):
            await client.get(path)
    assert samples(app, "seqserve_requests_total") == {}


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


@pytest.mark.parametrize(
    ("ratio", "error", "num_lines"),
    [(0.0, None, 0), (0.0, errors.Overloaded("x", 1, "wait"), 40), (1.0, None, 40)],
)
async def test_share_of_the_requests_without_an_error_is_logged(
    ratio: float, error: Exception | None, num_lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = make_app(FakePipeline(error=error), access_log_ratio=ratio)
    for _ in range(40):
        await classify(app)
    assert len([each for each in caplog.records if each.getMessage() == "request"]) == num_lines


async def test_half_of_the_requests_are_logged_where_that_is_the_ratio(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    app = make_app(FakePipeline(), access_log_ratio=0.5)
    for _ in range(100):
        await classify(app)
    # outside these bounds once in a billion runs
    assert 20 <= len([each for each in caplog.records if each.getMessage() == "request"]) <= 80


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
        raise AssertionError("the client has gone")

    scope = {
        **{"type": "http", "method": "POST", "path": "/classify", "headers": []},
        **{"query_string": b"", "scheme": "http", "http_version": "1.1", "root_path": ""},
    }
    await app(scope, receive, send)
    assert samples(app, "seqserve_requests_total") == {("none", "cancelled"): 1.0}
    assert vars(caplog.records[-1])["status"] == 499


async def test_models_of_a_request_that_was_hung_up_on_are_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    pipeline = FakePipeline(gate=asyncio.Event())
    app = make_app(pipeline)
    await hang_up_during(app, "/classify", {"inputs": "a"}, pipeline)

    assert samples(app, "seqserve_requests_total") == {("tiny", "cancelled"): 1.0}
    (line,) = [vars(record) for record in caplog.records if record.getMessage() == "request"]
    assert (line["model"], line["status"]) == ("tiny", 499)
