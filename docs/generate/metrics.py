"""The metrics of the server as a table, from the collectors themselves."""

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from docs.generate.tables import format_table
from service.telemetry.metrics import Metrics

COLUMNS = ("metric", "type", "labels", "meaning")


def describe_metrics() -> str:
    """One row per metric, in the order in which they are declared."""
    collectors = vars(Metrics(CollectorRegistry())).values()
    return format_table(COLUMNS, map(describe_metric, filter(is_metric, collectors)))


def is_metric(value: object) -> bool:
    return isinstance(value, MetricWrapperBase)


def describe_metric(collector: MetricWrapperBase) -> list[str]:
    (family,) = collector.describe()
    # prometheus_client describes a counter without the suffix that it has on the wire
    name = family.name + ("_total" if family.type == "counter" else "")
    # and has no public name for the labels of a collector without samples
    labels = ", ".join(f"`{label}`" for label in collector._labelnames) or "-"
    return [f"`{name}`", family.type, labels, family.documentation]
