import pytest

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
        ("text/plain;version=nonsense", "text/plain"),
        ("*/*", "text/plain"),
    ],
)
async def test_metrics_come_in_the_format_that_is_accepted(accepted: str, kind: str) -> None:
    async with connect(make_app(None)) as client:
        response = await client.get("/metrics", headers={"Accept": accepted})

    assert response.headers["content-type"].startswith(kind)
    assert response.text.endswith("# EOF\n") == ("openmetrics" in kind)
