import multiprocessing
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from service.telemetry.metrics import Metrics
from service.telemetry.shared_metrics import (
    SEGMENT_BYTES,
    MetricsSegment,
    SharedMetrics,
    merge_families,
)

FORK = multiprocessing.get_context("fork")


class Process:
    """The metrics of one worker, and its view of all."""

    def __init__(self, segments: Sequence[MetricsSegment], index: int) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.shared = SharedMetrics(self.registry, segments, index)

    def read(self, name: str, **labels: str) -> float | None:
        found = [
            sample.value
            for family in self.shared.collect()
            for sample in family.samples
            if sample.name == f"seqserve_{name}" and sample.labels == labels
        ]
        assert len(found) <= 1
        return found[0] if found else None


def make_processes(count: int = 2) -> list[Process]:
    segments = [MetricsSegment() for _ in range(count)]
    return [Process(segments, index) for index in range(count)]


def count(process: Process, times: int) -> None:
    for _ in range(times):
        process.metrics.count_request("m", "ok", 0.01)


def test_counters_and_histograms_of_all_are_added_up() -> None:
    one, other = make_processes()
    count(one, 2)
    count(other, 3)
    other.shared.publish()

    assert one.read("requests_total", model="m", outcome="ok") == 5
    assert one.read("request_duration_seconds_count", model="m") == 5
    assert one.read("request_duration_seconds_bucket", model="m", le="0.013") == 5
    assert one.read("request_duration_seconds_bucket", model="m", le="0.007") == 0


def test_what_one_counts_itself_needs_no_publishing() -> None:
    one, _ = make_processes()
    count(one, 1)
    assert one.read("requests_total", model="m", outcome="ok") == 1


def test_publishing_again_replaces_what_was_published() -> None:
    one, other = make_processes()
    for _ in range(3):
        count(other, 1)
        other.shared.publish()
    assert one.read("requests_total", model="m", outcome="ok") == 3


def test_all_are_ready_only_if_each_is() -> None:
    one, other = make_processes()
    one.metrics.ready.set(1)
    other.metrics.ready.set(0)
    other.shared.publish()
    assert one.read("ready") == 0


def test_queues_add_up_and_what_is_loaded_does_not() -> None:
    one, other = make_processes()
    names = ("model", "version", "task", "cell", "precision", "device")
    labels = dict.fromkeys(names, "any")
    for process in (one, other):
        process.metrics.queue_requests.labels("any").set(4)
        process.metrics.model_info.labels(**labels).set(1)
        process.shared.publish()
    assert one.read("queue_requests", model="any") == 8
    assert one.read("model_info", **labels) == 1


def test_successor_counts_on_from_where_the_dead_one_was() -> None:
    segments = [MetricsSegment(), MetricsSegment()]
    dead, witness = Process(segments, 0), Process(segments, 1)
    count(dead, 7)
    dead.metrics.queue_requests.labels("m").set(9)
    dead.shared.publish()

    successor = Process(segments, 0)
    count(successor, 1)
    successor.shared.publish()

    assert witness.read("requests_total", model="m", outcome="ok") == 8
    assert witness.read("queue_requests", model="m") is None  # its queue died with it


def test_gauges_of_a_worker_that_ended_can_be_dropped() -> None:
    segments = [MetricsSegment(), MetricsSegment()]
    ended, witness = Process(segments, 0), Process(segments, 1)
    witness.metrics.ready.set(1)
    ended.metrics.ready.set(0)
    count(ended, 2)
    ended.shared.publish()
    assert witness.read("ready") == 0

    segments[0].keep_counters()

    assert witness.read("ready") == 1
    assert witness.read("requests_total", model="m", outcome="ok") == 2


def test_last_act_of_a_worker_publishes_what_it_counted_but_no_gauges() -> None:
    one, other = make_processes()
    one.metrics.ready.set(1)
    other.metrics.ready.set(0)
    count(other, 3)
    other.shared.conclude()

    assert one.read("ready") == 1
    assert one.read("requests_total", model="m", outcome="ok") == 3


def test_other_process_sees_what_is_published() -> None:
    one, other = make_processes()

    def work() -> None:
        count(other, 6)
        other.shared.publish()

    process = FORK.Process(target=work)
    process.start()
    process.join(20)

    assert process.exitcode == 0
    assert one.read("requests_total", model="m", outcome="ok") == 6


def test_latest_exemplar_survives() -> None:
    one, other = make_processes()
    one.metrics.requests_total.labels("m", "ok").inc(1, exemplar={"trace_id": "old"})
    other.metrics.requests_total.labels("m", "ok").inc(1, exemplar={"trace_id": "new"})
    other.shared.publish()
    text = generate_openmetrics(one.shared).decode()
    assert 'trace_id="new"' in text
    assert 'trace_id="old"' not in text


def test_what_is_shown_is_what_prometheus_reads() -> None:
    one, other = make_processes()
    count(one, 1)
    other.metrics.count_request("n", "ok", 0.01)  # a series that the first one lacks
    other.shared.publish()
    families = {
        family.name: family
        for family in text_string_to_metric_families(generate_latest(one.shared).decode())
    }
    models = {sample.labels["model"] for sample in families["seqserve_requests"].samples}
    assert models == {"m", "n"}
    assert families["seqserve_request_duration_seconds"].type == "histogram"


def test_slot_that_was_never_written_is_empty() -> None:
    segment = MetricsSegment()
    assert (segment.heartbeats, segment.read()) == (0, [])


def test_slot_counts_how_often_it_was_written() -> None:
    segment = MetricsSegment()
    for _ in range(3):
        segment.write([])
    assert segment.heartbeats == 3


def test_half_written_slot_is_as_good_as_empty() -> None:
    segment = MetricsSegment()
    segment.write([GaugeMetricFamily("a", "", value=1.0)])
    segment._memory[40] ^= 0xFF
    assert segment.read() == []


def test_too_much_for_a_slot_is_refused() -> None:
    segment = MetricsSegment()
    with pytest.raises(ValueError, match="above the limit"):
        segment.write([Metric("a", "x" * SEGMENT_BYTES, "gauge")])
    assert segment.read() == []


def test_merging_leaves_its_parts_alone() -> None:
    part = [GaugeMetricFamily("a", "", value=1.0)]
    merge_families([part, part])
    assert part[0].samples[0].value == 1.0
