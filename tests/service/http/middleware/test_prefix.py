import logging

import pytest

from tests.service.http.fakes import connect, make_app, samples

PREFIX = "/tools/translator"


@pytest.mark.parametrize("prefix", ["", PREFIX])
@pytest.mark.parametrize(
    "path", ["/", "/docs", "/docs/assets/swagger-ui.css", "/openapi.json", "/livez", "/models"]
)
async def test_routes_answer_with_the_prefix_and_without(prefix: str, path: str) -> None:
    async with connect(make_app(root_path=PREFIX)) as client:
        assert (await client.get(prefix + path)).status_code == 200


@pytest.mark.parametrize("prefix", ["", PREFIX])
async def test_task_below_the_prefix_is_counted_and_logged_as_any(
    prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    app = make_app(root_path=PREFIX)
    async with connect(app) as client:
        answer = await client.post(prefix + "/classify", json={"inputs": "a"})
    assert (answer.status_code, answer.headers["x-model-name"]) == (200, "tiny")
    assert samples(app, "seqserve_requests_total") == {("tiny", "ok"): 1.0}
    (record,) = [each for each in caplog.records if each.name == "service.http.middleware"]
    assert record.__dict__["path"] == "/classify"


async def test_prefix_alone_leads_to_the_page() -> None:
    async with connect(make_app(root_path=PREFIX)) as client:
        answer = await client.get(PREFIX)
        page = await client.get(PREFIX, follow_redirects=True)
    assert (answer.status_code, answer.headers["location"]) == (308, "translator/")
    assert answer.headers["x-request-id"]
    assert (page.url.path, page.status_code) == (f"{PREFIX}/", 200)


@pytest.mark.parametrize("path", ["/tools", "/tools/translators/livez", "/other/livez"])
async def test_other_paths_are_not_routes(path: str) -> None:
    async with connect(make_app(root_path=PREFIX)) as client:
        assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("prefix", ["", PREFIX])
async def test_documented_server_is_where_the_document_is(prefix: str) -> None:
    async with connect(make_app(root_path=prefix)) as client:
        answer = await client.get(f"{prefix}/openapi.json")
    assert answer.json()["servers"] == [{"url": "."}]
    (server,) = answer.json()["servers"]
    assert answer.url.join(server["url"]).path == f"{prefix}/"
