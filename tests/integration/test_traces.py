"""Traces of a real server with the shipped models, sent to a real receiver of OTLP over HTTP."""

import json
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.integration.collector import WAIT_SECONDS, Collector, attributes_of, run_collector
from tests.integration.containers import find_port
from tests.integration.server import MODELS_DIR, ROOT, Server, run_server, wait_until

TEXT = "Two dogs xylophone in the snow"
TRANSLATION = {"q": f"{TEXT}. They play.", "source": "en", "target": "de"}
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "50"}  # milliseconds until spans are sent
UNSAMPLED, SAMPLED = "00", "01"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with run_collector() as running:
        yield running


@pytest.fixture(scope="module")
def server(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("traces") / "log"
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        **SOON,
    }
    with run_server(MODELS_DIR, log, "--log-format", "json", variables=variables) as running:
        yield running


def post(
    server: Server, path: str, body: dict[str, Any], flags: str = SAMPLED
) -> tuple[httpx.Response, str, str]:
    """Asks as a part of a trace; the answer, the trace's id, and the id of the caller's span."""
    trace_id, parent_id = secrets.token_hex(16), secrets.token_hex(8)
    headers = {"traceparent": f"00-{trace_id}-{parent_id}-{flags}"}
    with server.open_client() as client:
        return client.post(path, json=body, headers=headers), trace_id, parent_id


def find_line(server: Server, request_id: str) -> dict[str, Any]:
    """The line of the log that tells of a request."""
    wait_until(lambda: f'"{request_id}"' in server.read_log(), WAIT_SECONDS)
    (line,) = (text for text in server.read_log().splitlines() if f'"{request_id}"' in text)
    found: dict[str, Any] = json.loads(line)
    return found


def check_stages(root: Span, stages: list[Span]) -> None:
    """Children of the root that follow each other and fill their place in it."""
    assert [span.name for span in stages] == ["tokenize", "queue", "inference"]
    for span in stages:
        assert span.parent_span_id == root.span_id
        assert span.kind == Span.SPAN_KIND_INTERNAL
        assert root.start_time_unix_nano <= span.start_time_unix_nano
        assert span.start_time_unix_nano <= span.end_time_unix_nano <= root.end_time_unix_nano
    tokenize, queue, _ = stages
    assert abs(tokenize.end_time_unix_nano - queue.start_time_unix_nano) < 1000


@pytest.mark.parametrize(
    ("path", "body", "model"),
    [
        ("/classify", {"inputs": [TEXT, TEXT]}, "sentiment-en"),
        ("/translate", TRANSLATION, "translation-en-de"),
        ("/translate", TRANSLATION | {"stream": True}, "translation-en-de"),
    ],
    ids=["classify", "translate", "stream"],
)
def test_request_is_a_span_with_its_stages(
    server: Server, collector: Collector, path: str, body: dict[str, Any], model: str
) -> None:
    before = time.time_ns()
    response, trace_id, parent_id = post(server, path, body)
    root, *stages = collector.wait_spans(trace_id, 4)

    assert root.name == f"POST {path}"
    assert root.kind == Span.SPAN_KIND_SERVER
    assert root.parent_span_id.hex() == parent_id
    assert root.status.code == Status.STATUS_CODE_UNSET
    assert before < root.start_time_unix_nano < root.end_time_unix_nano < time.time_ns()
    check_stages(root, stages)
    assert attributes_of(root) == {
        "http.request.method": "POST",
        "http.route": path,
        "url.path": path,
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": httpx.URL(server.url).port,
        "http.response.status_code": 200,
        "seqserve.model": model,
        "seqserve.request_id": response.headers["x-request-id"],
    }


def test_stages_last_as_long_as_the_answer_says(server: Server, collector: Collector) -> None:
    response, trace_id, _ = post(server, "/translate", TRANSLATION)
    _, *stages = collector.wait_spans(trace_id, 4)
    told = dict(re.findall(r"(\w+);dur=([\d.]+)", response.headers["server-timing"]))

    for span in stages:
        milliseconds = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
        assert milliseconds == pytest.approx(float(told[span.name]), abs=0.002)


def test_log_line_names_the_span(server: Server, collector: Collector) -> None:
    response, trace_id, _ = post(server, "/classify", {"inputs": TEXT})
    root = collector.wait_spans(trace_id, 4)[0]
    line = find_line(server, response.headers["x-request-id"])

    assert (line["trace_id"], line["span_id"]) == (trace_id, root.span_id.hex())


def test_request_without_a_parent_begins_a_trace(server: Server, collector: Collector) -> None:
    with server.open_client() as client:
        response = client.post("/classify", json={"inputs": TEXT})
    line = find_line(server, response.headers["x-request-id"])
    root = collector.wait_spans(line["trace_id"], 4)[0]

    assert root.parent_span_id == b""


def test_what_the_caller_does_not_sample_is_logged_and_not_sent(
    server: Server, collector: Collector
) -> None:
    response, trace_id, _ = post(server, "/classify", {"inputs": TEXT}, UNSAMPLED)
    _, later, _ = post(server, "/classify", {"inputs": TEXT})
    collector.wait_spans(later, 4)

    assert collector.spans(trace_id) == []
    assert find_line(server, response.headers["x-request-id"])["trace_id"] == trace_id


def test_traceparent_that_is_none_begins_a_trace(server: Server) -> None:
    with server.open_client() as client:
        headers = {"traceparent": f"00-{'0' * 32}-nonsense-01"}
        response = client.post("/classify", json={"inputs": TEXT}, headers=headers)
    line = find_line(server, response.headers["x-request-id"])

    assert response.status_code == httpx.codes.OK
    assert re.fullmatch(r"(?!0{32})[0-9a-f]{32}", line["trace_id"])


def test_refusal_is_no_error_of_ours(server: Server, collector: Collector) -> None:
    _, trace_id, _ = post(server, "/classify", {"inputs": 7})
    (root,) = collector.wait_spans(trace_id, 1)

    assert attributes_of(root)["http.response.status_code"] == 422
    assert root.status.code == Status.STATUS_CODE_UNSET


def test_missed_deadline_is_an_error(server: Server, collector: Collector) -> None:
    text = "A man is riding a bicycle down the street. " * 200
    body = {"q": text, "source": "en", "target": "de", "timeout_ms": 50}
    _, trace_id, _ = post(server, "/translate", body)
    (root,) = collector.wait_spans(trace_id, 1)

    assert attributes_of(root)["http.response.status_code"] == 504
    assert attributes_of(root)["error.type"] == "504"
    assert root.status.code == Status.STATUS_CODE_ERROR


def test_client_that_hangs_up_is_seen_as_cancelled(server: Server, collector: Collector) -> None:
    text = "A man is riding a bicycle down the street. " * 400
    trace_id = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
    with server.open_client() as client, pytest.raises(httpx.ReadTimeout):
        client.post("/translate", json=TRANSLATION | {"q": text}, headers=headers, timeout=0.2)
    (root,) = collector.wait_spans(trace_id, 1)

    assert attributes_of(root)["error.type"] == "cancelled"
    assert "http.response.status_code" not in attributes_of(root)


def test_spans_name_the_service_and_hold_no_text(server: Server, collector: Collector) -> None:
    _, trace_id, _ = post(server, "/translate", TRANSLATION)
    collector.wait_spans(trace_id, 4)
    resource = {
        each.key: each.value.string_value
        for each in collector.bodies[-1].resource_spans[0].resource.attributes
    }
    sent = b"".join(body.SerializeToString() for body in collector.bodies)

    assert set(collector.paths) == {"/v1/traces"}
    assert resource["service.name"] == "seqserve"
    assert resource["deployment.environment.name"] == "test"
    assert resource["service.version"] != ""
    assert b"POST /translate" in sent
    assert b"xylophone" not in sent
    assert b"bicycle" not in sent


def test_stop_sends_what_waits(collector: Collector, tmp_path: Path) -> None:
    flags = ("--otlp-endpoint", collector.url + "/")
    with run_server(MODELS_DIR, tmp_path / "log", *flags) as server:
        _, trace_id, _ = post(server, "/classify", {"inputs": TEXT})
        assert collector.spans(trace_id) == []  # spans gather for five seconds
        assert server.stop() == 0

    assert len(collector.spans(trace_id)) == 4


def test_collector_that_is_away_stops_neither_answers_nor_the_end(tmp_path: Path) -> None:
    flags = ("--otlp-endpoint", f"http://127.0.0.1:{find_port()}", "--shutdown-delay-ms", "0")
    with run_server(MODELS_DIR, tmp_path / "log", *flags, variables=SOON) as server:
        response, _, _ = post(server, "/classify", {"inputs": TEXT})
        started = time.monotonic()
        code = server.stop()
        seconds = time.monotonic() - started

    assert response.status_code == httpx.codes.OK
    assert code == 0
    assert seconds < 6.0


def test_every_worker_sends_its_spans(collector: Collector, tmp_path: Path) -> None:
    flags = ("--otlp-endpoint", collector.url)
    with run_server(MODELS_DIR, tmp_path / "log", *flags, num_workers=2) as server:
        trace_ids = [post(server, "/classify", {"inputs": TEXT})[1] for _ in range(40)]
        assert server.stop() == 0

    assert all(len(collector.spans(trace_id)) == 4 for trace_id in trace_ids)


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_without_an_endpoint_no_sdk_is_even_imported() -> None:
    done = run_python(
        "import sys\n"
        "from service.http.app import create_app\n"
        "from service.settings import Settings\n"
        "create_app(Settings())\n"
        "others = ('service.telemetry.traces', 'opentelemetry.sdk', 'opentelemetry.exporter')\n"
        "print([name for name in sys.modules if name.startswith(others)])"
    )

    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("num_workers", ["1", "2"])
def test_missing_package_is_named_in_one_sentence(num_workers: str) -> None:
    done = run_python(
        "import sys; sys.modules['opentelemetry.sdk'] = None; from service.cli import main\n"
        "sys.exit(main(['serve', '--port', '0', '--otlp-endpoint', 'http://localhost:4318',\n"
        "    '--workers', sys.argv[1]]))",
        num_workers,
    )

    assert done.returncode != 0
    assert re.fullmatch(r"seqserve: .*install seqserve\[otel\].*\n", done.stderr)
