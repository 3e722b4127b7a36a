import hashlib
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.http.app import create_app
from service.http.metrics import MetricsResponse, make_metrics_app
from service.http.requests.codings import MIN_COMPRESSED_BYTES
from service.settings import Settings
from tests.service.http.fakes import connect, fetch, make_app


async def test_metrics_are_prometheus_text() -> None:
    response = await fetch("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert "seqserve_requests_total" in response.text


@pytest.mark.parametrize(
    ("accepted", "kind"),
    [
        ("application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1", "application/openmetrics"),
        ("application/openmetrics-text;version=nonsense", "application/openmetrics"),
        ("application/openmetrics-text; version=abc", "application/openmetrics"),
        ("application/openmetrics-text; version=1.x", "application/openmetrics"),
        (f"application/openmetrics-text;version={'9' * 5000}", "application/openmetrics"),
        ("application/openmetrics-text;version=\u00b2", "application/openmetrics"),
        ("application/openmetrics-text; version=", "application/openmetrics"),
        ("text/plain;version=nonsense", "text/plain"),
        ("application/json;version=,;;=,", "text/plain"),
        ("*/*", "text/plain"),
        ("", "text/plain"),
    ],
)
async def test_metrics_come_in_the_format_that_is_accepted(accepted: str, kind: str) -> None:
    async with connect(make_app()) as client:
        response = await client.get("/metrics", headers={"Accept": accepted.encode()})

    assert response.status_code == 200
    assert response.headers["content-type"].startswith(kind)
    assert response.text.endswith("# EOF\n") == ("openmetrics" in kind)


class Workers(Collector):
    """Metrics that do not come from a registry, like those of several processes."""

    def collect(self) -> list[Metric]:
        return [
            CounterMetricFamily("answered", "Requests.", value=3),
            GaugeMetricFamily("waiting", "Requests.", value=5),
        ]


def make_collectors() -> list[Collector]:
    described = CollectorRegistry(auto_describe=True)
    described.register(Workers())
    return [described, Workers()]


@pytest.mark.parametrize("collector", make_collectors())
async def test_name_chooses_metrics(collector: Collector) -> None:
    app = create_app(Settings(), collector=collector)
    async with connect(app) as client:
        whole = await client.get("/metrics")
        chosen = await client.get("/metrics", params={"name[]": "waiting"})
        unknown = await client.get("/metrics?name[]=nothing&\u00e9=%ff")

    assert "answered_total 3.0" in whole.text
    assert "waiting 5.0" in chosen.text
    assert "answered" not in chosen.text
    assert (unknown.status_code, unknown.text) == (200, "")


@pytest.mark.parametrize(("accepted", "encoding"), [("gzip", "gzip"), ("identity", None)])
async def test_metrics_are_compressed_for_clients_that_accept_it(
    accepted: str, encoding: str | None
) -> None:
    async with connect(make_app()) as client:
        response = await client.get("/metrics", headers={"Accept-Encoding": accepted})

    assert response.headers.get("content-encoding") == encoding
    assert "seqserve_requests_total" in response.text


async def test_long_metrics_are_compressed_once() -> None:
    app = make_app()
    for number in range(100):
        app.context.metrics.count_request(hashlib.sha256(b"%d" % number).hexdigest(), "ok", 0.1)
    async with connect(app) as client:
        response = await client.get("/metrics", headers={"Accept-Encoding": "gzip"})
    assert response.num_bytes_downloaded > MIN_COMPRESSED_BYTES
    assert response.headers.get_list("content-encoding") == ["gzip"]


async def test_exemplars_are_shown_in_openmetrics() -> None:
    app = make_app()
    app.context.metrics.request_duration_seconds.labels("tiny").observe(0.1, {"trace_id": "abc"})
    async with connect(app) as client:
        accepted = {"Accept": "application/openmetrics-text;version=1.0.0"}
        response = await client.get("/metrics", headers=accepted)

    assert '# {trace_id="abc"}' in response.text


async def test_bytes_that_are_not_text_are_left_out_of_a_query() -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    response = MetricsResponse(make_metrics_app(Workers()))
    scope = {
        "type": "http",
        "headers": [(b"accept", b"\xff")],
        "query_string": b"name[]=\xffwaiting",
    }
    await response(scope, receive, send)

    assert sent[0]["status"] == 200
    assert b"waiting 5.0" in sent[1]["body"]
