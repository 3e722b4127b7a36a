"""From a slow bucket to the trace behind it: exemplars that a real Prometheus has scraped."""

import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.collector import WAIT_SECONDS
from tests.integration.containers import find_port
from tests.integration.dashboard import fill_variables, read_targets
from tests.integration.prometheus import needs_prometheus, run_prometheus
from tests.integration.server import MODELS_DIR, Server, run_server, wait_until

OPEN_METRICS = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
DURATIONS = "seqserve_request_duration_seconds_bucket"
STAGES = "seqserve_stage_duration_seconds_bucket"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("exemplars") / "log"
    # No collector listens there: exemplars name the traces that are made, taken or not.
    flags = ("--otlp-endpoint", f"http://127.0.0.1:{find_port()}")
    with run_server(MODELS_DIR, log, *flags) as running:
        yield running


def classify(server: Server, flags: str) -> str:
    """Asks once; the trace's id."""
    trace_id = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"}
    with server.open_client() as client:
        assert client.post("/classify", json={"inputs": "a"}, headers=headers).is_success
    return trace_id


def read_exemplars(server: Server) -> dict[str, set[str]]:
    """Trace ids by the name of the series that they are examples of."""
    with server.open_client() as client:
        text = client.get("/metrics", headers=OPEN_METRICS).text
    found: dict[str, set[str]] = {}
    for name, trace_id in re.findall(r'^(\w+)\{.*# \{trace_id="(\w+)"\}', text, flags=re.MULTILINE):
        found.setdefault(name, set()).add(trace_id)
    return found


def test_sampled_request_is_an_example_of_its_durations(server: Server) -> None:
    trace_id = classify(server, "01")
    wait_until(lambda: trace_id in read_exemplars(server).get(DURATIONS, set()), WAIT_SECONDS)

    assert trace_id in read_exemplars(server)[STAGES]


def test_request_that_is_not_sampled_is_no_example(server: Server) -> None:
    trace_ids = {classify(server, "00") for _ in range(3)}
    found = set().union(*read_exemplars(server).values())

    assert not found & trace_ids


def test_plain_text_has_no_exemplars(server: Server) -> None:
    classify(server, "01")
    with server.open_client() as client:
        text = client.get("/metrics").text

    assert DURATIONS in text
    assert "trace_id" not in text


def ask_exemplars(client: httpx.Client, series: str) -> list[dict[str, Any]]:
    window = {"start": str(time.time() - 300), "end": str(time.time())}
    answer = client.get("/api/v1/query_exemplars", params={"query": series, **window}).json()
    assert answer["status"] == "success", answer
    found: list[dict[str, Any]] = answer["data"]
    return found


@pytest.mark.slow
@needs_prometheus
def test_prometheus_and_dashboard_lead_from_a_bucket_to_the_trace(
    server: Server, tmp_path: Path
) -> None:
    flags = ["--enable-feature=exemplar-storage"]
    with run_prometheus(server, tmp_path, flags=flags) as client:
        trace_id = classify(server, "01")

        def known(series: str) -> list[dict[str, Any]]:
            return [
                exemplar
                for found in ask_exemplars(client, series)
                for exemplar in found["exemplars"]
                if exemplar["labels"] == {"trace_id": trace_id}
            ]

        wait_until(lambda: bool(known(DURATIONS) and known(STAGES)), WAIT_SECONDS)
        (exemplar,) = known(DURATIONS)
        stages = {
            found["seriesLabels"]["stage"]
            for found in ask_exemplars(client, STAGES)
            if found["exemplars"][-1]["labels"] == {"trace_id": trace_id}
        }
        unled = [
            title
            for title, target in read_targets()
            if target.get("exemplar") and not known(fill_variables(target["expr"]))
        ]
        (target,) = client.get("/api/v1/targets").json()["data"]["activeTargets"]

    assert 0 < float(exemplar["value"]) < 10
    assert stages == {"tokenize", "queue", "inference"}
    assert unled == []
    assert (target["health"], target["lastError"]) == ("up", "")
