"""The web page and the API's documentation."""

from importlib import resources

from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse

PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"
)


pages = APIRouter(include_in_schema=False)


@pages.api_route("/", methods=["GET", "HEAD"])
async def show_page() -> Response:
    page = (
        resources.files("service.http").joinpath("static", "page.html").read_text(encoding="utf-8")
    )
    return HTMLResponse(page, headers={"Content-Security-Policy": PAGE_POLICY})


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
