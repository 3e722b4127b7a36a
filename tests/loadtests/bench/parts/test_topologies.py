import math

from prometheus_client import CollectorRegistry, generate_latest

from loadtests.bench.parts.topologies import count_batches, list_rows, read_figure
from service.telemetry.metrics import Metrics


def test_batches_of_all_models_are_counted_by_what_the_server_publishes() -> None:
    metrics = Metrics(CollectorRegistry())
    for model, rows in (("a", 3), ("a", 5), ("b", 1)):
        metrics.batch_rows.labels(model).observe(rows)
    assert count_batches(generate_latest(metrics.registry).decode()) == (3.0, 9.0)


def test_a_row_has_the_figures_and_the_memory_of_its_server() -> None:
    figures = {"requests_per_second": 5.0, "p50_ms": 1.0, "p99_ms": 2.0, "cpu_us": 3.0}
    summary = {"engine 2": {32: figures | {"rows_per_batch": 4.0, "num_failures": 0}}}
    found = {"summary": summary, "pss_bytes": {"engine 2": 3 * 2**20}}
    assert list_rows(found, 32) == [["engine 2", 5.0, 1.0, 2.0, 3.0, 4.0, 3.0]]


def test_a_server_that_answered_nothing_was_infinitely_slow() -> None:
    assert math.isinf(read_figure({"p50_ms": None}, "p50_ms"))
    assert read_figure({"p50_ms": 3}, "p50_ms") == 3.0
