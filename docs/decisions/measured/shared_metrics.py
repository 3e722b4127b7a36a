"""Measures metrics of several processes: `python docs/decisions/measured/shared_metrics.py`.

Our way (values in the process, published to shared memory once a second) against the multiprocess
mode of prometheus_client (every value in a mapped file), each in a process of its own.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from docs.decisions.measured.report import write_report

OBSERVATIONS, ROUNDS, WORKERS = 20_000, 9, 2


def time_each(function: Callable[[], object], count: int) -> float:
    """Microseconds per call."""
    started = time.perf_counter()
    for _ in range(count):
        function()
    return 1e6 * (time.perf_counter() - started) / count


def measure_once() -> dict[str, float | bool]:
    """What one request's counters, a publication and a scrape cost in this process."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.openmetrics.exposition import generate_latest
    from prometheus_client.registry import Collector

    from service.telemetry.metrics import Metrics
    from service.telemetry.shared_metrics import MetricsSegment, SharedMetrics

    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.requests_total.labels("m", "ok").inc(1, exemplar={"trace_id": "abc"})
    request = time_each(lambda: metrics.count_request("m", "ok", 0.01), OBSERVATIONS)
    for model in ("a", "b", "c", "d"):
        metrics.count_request(model, "ok", 0.01)
    found: dict[str, float | bool] = {"count_request_us": request}
    shown: Collector
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client.multiprocess import MultiProcessCollector

        shown = MultiProcessCollector(CollectorRegistry())
    else:
        segments = [MetricsSegment() for _ in range(WORKERS + 1)]
        SharedMetrics(registry, segments, 1).publish()
        shown = shared = SharedMetrics(registry, segments, 0)
        found["publish_us"] = time_each(shared.publish, 200)
    found["scrape_us"] = time_each(lambda: generate_latest(shown), 100)
    found["has_exemplar"] = b"trace_id" in generate_latest(shown)
    return found


def run_apart(directory: str | None) -> dict[str, float]:
    environment = os.environ | ({"PROMETHEUS_MULTIPROC_DIR": directory} if directory else {})
    command = [sys.executable, __file__, "--once"]
    result = subprocess.run(command, env=environment, capture_output=True, check=True)
    found: dict[str, float] = json.loads(result.stdout)
    return found


def measure() -> dict[str, object]:
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "multiprocess": []}
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as directory:
            runs["multiprocess"].append(run_apart(directory))
        runs["ours"].append(run_apart(None))
    medians = {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]}
        for name, found in runs.items()
    }
    return {"medians": medians, "runs": runs}


if __name__ == "__main__":
    if "--once" in sys.argv:
        json.dump(measure_once(), sys.stdout)
    else:
        write_report(__file__, measure)
