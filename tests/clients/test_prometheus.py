"""Prometheus and its own checks of `/metrics`."""

from pathlib import Path

import httpx

from tests.clients.programs import needs, run
from tests.integration.prometheus import run_prometheus
from tests.integration.server import Server, wait_until

SCRAPE_SECONDS = 30.0
NUM_REQUESTS = 8
CLASSIFIED = 'sum(seqserve_requests_total{model="sentiment-en",outcome="ok"})'


def classify(server: Server, num_requests: int) -> None:
    for _ in range(num_requests):  # a connection each, so that workers share them
        with server.open_client() as client:
            assert client.post("/classify", json={"inputs": "I like this film."}).is_success


def query(client: httpx.Client, expression: str) -> float:
    answer = client.get("/api/v1/query", params={"query": expression}).json()
    assert answer["status"] == "success", answer
    return sum(float(found["value"][1]) for found in answer["data"]["result"])


@needs("promtool")
def test_promtool_finds_nothing_to_complain_of(server: Server) -> None:
    with server.open_client() as client:
        metrics = client.get("/metrics").text

    assert run("promtool", "check", "metrics", stdin=metrics) == ""


@needs("prometheus")
def test_prometheus_counts_the_requests_of_all_workers(server: Server, tmp_path: Path) -> None:
    with run_prometheus(server, tmp_path) as client:
        wait_until(lambda: query(client, "up") == 1, SCRAPE_SECONDS)
        before = query(client, CLASSIFIED)
        classify(server, NUM_REQUESTS)
        wait_until(lambda: query(client, CLASSIFIED) >= before + NUM_REQUESTS, SCRAPE_SECONDS)
        (target,) = client.get("/api/v1/targets").json()["data"]["activeTargets"]
        counted = query(client, CLASSIFIED)

    assert (target["health"], target["lastError"]) == ("up", "")
    assert counted == before + NUM_REQUESTS
