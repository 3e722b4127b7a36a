"""The web page with its files, and the API's documentation."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import PurePath

from fastapi import APIRouter, HTTPException, Request, Response, status
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import JSONResponse

PAGE = "page.html"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'"
)
# Spelt out: what the system takes a suffix for differs, and no browser runs a module of another.
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}


@dataclass(frozen=True)
class StaticFile:
    """A file of the page as it is served.

    Attributes:
        etag: weak, since the answer may be compressed.
    """

    content: bytes
    media_type: str
    etag: str


pages = APIRouter(include_in_schema=False)


@pages.api_route("/", methods=["GET", "HEAD"])
async def show_page(request: Request) -> Response:
    return answer_file(request, PAGE, {"Content-Security-Policy": PAGE_POLICY})


@pages.api_route("/static/{name}", methods=["GET", "HEAD"])
async def show_static(request: Request, name: str) -> Response:
    """A style sheet or a module of the page."""
    return answer_file(request, name, {})


@pages.get("/spec")
async def show_spec(request: Request) -> Response:
    """The OpenAPI document, where LibreTranslate's clients look for it."""
    return JSONResponse(request.app.openapi())


@pages.api_route("/docs", methods=["GET", "HEAD"])
async def show_docs(request: Request) -> Response:
    # Relative addresses: the page works without internet, and below a prefix of an ingress.
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title=request.app.title,
        swagger_js_url="docs/assets/swagger-ui-bundle.js",
        swagger_css_url="docs/assets/swagger-ui.css",
        swagger_favicon_url="docs/assets/favicon-32x32.png",
    )


def answer_file(request: Request, name: str, headers: dict[str, str]) -> Response:
    """A file, or that a client's copy is still right.

    Browsers ask each time, so that the files of a page are always of one version.

    Raises:
        HTTPException: 404, the page has no such file.
    """
    files = load_files()
    if name not in files:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    file = files[name]
    shared = {
        "ETag": file.etag,
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    known = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    if file.etag in known:
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=shared | headers)
    return Response(file.content, headers=shared | headers, media_type=file.media_type)


@cache
def load_files() -> dict[str, StaticFile]:
    """The files of the page by name."""
    folder = resources.files("service.http").joinpath("static")
    found = {}
    for entry in folder.iterdir():
        media_type = MEDIA_TYPES[PurePath(entry.name).suffix]
        content = entry.read_bytes()
        etag = f'W/"{hashlib.sha256(content).hexdigest()[:16]}"'
        found[entry.name] = StaticFile(content, media_type, etag)
    return found
