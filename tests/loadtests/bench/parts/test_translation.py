from prometheus_client import generate_latest

from loadtests.bench.parts.translation import count_output_tokens
from tests.fakes import make_metrics


def test_output_tokens_of_all_models_are_summed() -> None:
    metrics = make_metrics()
    for model, direction, count in (("a", "output", 5), ("b", "output", 7), ("a", "input", 100)):
        metrics.tokens_total.labels(model, direction).inc(count)
    assert count_output_tokens(generate_latest(metrics.registry).decode()) == 12
