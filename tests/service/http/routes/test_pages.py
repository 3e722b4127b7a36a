import pytest

from tests.service.http.fakes import connect, fetch, make_app


async def test_page_needs_nothing_from_elsewhere() -> None:
    response = await fetch("/")
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "https://" not in response.text


@pytest.mark.parametrize("path", ["/", "/docs"])
async def test_pages_answer_head(path: str) -> None:
    async with connect(make_app()) as client:
        assert (await client.head(path)).status_code == 200


async def test_documentation_needs_nothing_from_elsewhere() -> None:
    async with connect(make_app()) as client:
        page = await client.get("/docs")
        script = await client.get("/docs/assets/swagger-ui-bundle.js")
        document = await client.get("/openapi.json")
    assert "https://" not in page.text
    assert script.status_code == 200
    assert document.json()["components"]["schemas"]["TranslateRequest"]["required"] == [
        "q",
        "target",
    ]


async def test_spec_is_the_openapi_document() -> None:
    async with connect(make_app()) as client:
        assert (await client.get("/spec")).json() == (await client.get("/openapi.json")).json()
