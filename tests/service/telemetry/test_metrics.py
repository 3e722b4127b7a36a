from prometheus_client import CollectorRegistry, generate_latest

from service.telemetry.metrics import Metrics

EXPECTED = {
    "seqserve_requests",
    "seqserve_request_duration_seconds",
    "seqserve_stage_duration_seconds",
    "seqserve_queue_requests",
    "seqserve_queue_tokens",
    "seqserve_dispatches",
    "seqserve_step_duration_seconds",
    "seqserve_batch_rows",
    "seqserve_batch_padding_ratio",
    "seqserve_shed",
    "seqserve_tokens",
    "seqserve_incomplete_translations",
    "seqserve_running_sequences",
    "seqserve_tag_streams",
    "seqserve_connections",
    "seqserve_dropped_log_lines",
    "seqserve_ready",
    "seqserve_workers",
    "seqserve_model_info",
    "seqserve_cuda_graphs",
}


def test_every_collector_is_in_the_injected_registry() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    assert {metric.name for metric in registry.collect()} == EXPECTED


def test_two_servers_do_not_share_figures() -> None:
    first, second = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    first.requests_total.labels("tiny", "ok").inc()
    assert b'model="tiny"' in generate_latest(first.registry)
    assert b'model="tiny"' not in generate_latest(second.registry)


def test_labelled_collectors_start_without_samples() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    samples = {sample.name for metric in registry.collect() for sample in metric.samples}
    assert samples == {
        *("seqserve_tag_streams", "seqserve_ready", "seqserve_workers"),
        *("seqserve_dropped_log_lines_total", "seqserve_dropped_log_lines_created"),
    }


def test_counters_of_a_model_are_there_at_zero_before_anything_happens() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    assert metrics.of_model("tiny") is metrics.of_model("tiny")
    labels = {"model": "tiny", "reason": "wait"}
    assert registry.get_sample_value("seqserve_shed_total", labels) == 0.0
    labels = {"model": "tiny", "reason": "loop"}
    assert registry.get_sample_value("seqserve_incomplete_translations_total", labels) == 0.0
    labels = {"model": "tiny", "outcome": "error"}
    assert registry.get_sample_value("seqserve_requests_total", labels) == 0.0
