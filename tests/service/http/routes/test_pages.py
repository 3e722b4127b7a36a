import re
from pathlib import Path

import pytest

from tests.service.http.fakes import connect, fetch, make_app


async def test_page_needs_nothing_from_elsewhere() -> None:
    response = await fetch("/")
    policy = response.headers["content-security-policy"]
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "https://" not in response.text


async def test_every_file_that_the_page_names_is_served_with_its_type() -> None:
    types = {".js": "text/javascript", ".css": "text/css"}
    async with connect(make_app()) as client:
        names = re.findall(r'(?:href|src)="static/([^"]+)"', (await client.get("/")).text)
        assert {Path(name).suffix for name in names} == set(types)
        seen: set[str] = set()
        while name := next((name for name in names if name not in seen), ""):
            response = await client.get(f"/static/{name}")
            assert response.status_code == 200, name
            assert response.headers["content-type"].startswith(types[Path(name).suffix])
            assert response.headers["x-content-type-options"] == "nosniff"
            names += re.findall(r'from "\./([^"]+)"', response.text)
            seen.add(name)
    assert {"page.css", "page.js", "api.js", "tag.js"} <= seen


@pytest.mark.parametrize("path", ["/", "/static/page.js"])
async def test_a_copy_that_is_still_right_is_not_sent_again(path: str) -> None:
    async with connect(make_app()) as client:
        first = await client.get(path)
        etag = first.headers["etag"]
        same = await client.get(path, headers={"If-None-Match": f'"other", {etag}'})
        changed = await client.get(path, headers={"If-None-Match": 'W/"other"'})
    assert first.headers["cache-control"] == "no-cache"
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == etag
    assert (changed.status_code, changed.content) == (200, first.content)


@pytest.mark.parametrize("name", ["none.js", "..%2Froutes%2Fpages.py", "page.js%00"])
async def test_only_files_of_the_page_are_served(name: str) -> None:
    assert (await fetch(f"/static/{name}")).status_code == 404


@pytest.mark.parametrize("path", ["/", "/static/page.css", "/docs"])
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
