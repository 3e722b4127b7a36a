from prometheus_client import CollectorRegistry, generate_latest

from docs.generate.metrics import describe_metrics
from service.telemetry.metrics import Metrics


def test_names_and_labels_are_those_on_the_wire() -> None:
    registry = CollectorRegistry()
    Metrics(registry).count_request("tiny", "ok", 0.1)
    exposed = generate_latest(registry).decode()

    described = describe_metrics()

    assert "| `seqserve_requests_total` | counter | `model`, `outcome` |" in described
    assert 'seqserve_requests_total{model="tiny",outcome="ok"} 1.0' in exposed
    for line in described.splitlines()[2:]:
        assert f"# TYPE {line.split('`')[1]} " in exposed
