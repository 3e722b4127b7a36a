"""Serves below a prefix, for proxies that pass paths on as they come."""

from starlette.types import ASGIApp, Receive, Scope, Send


class PrefixMiddleware:
    """Takes a prefix off the paths that begin with it; other paths stay as they are.

    So probes, and proxies that take the prefix off themselves, reach the same routes.

    Args:
        app: answers everything but the prefix alone.
        prefix: like `/translator`.
        bare: answers the prefix alone, which is not a folder to a browser yet.
    """

    def __init__(self, app: ASGIApp, prefix: str, bare: ASGIApp) -> None:
        self._app, self._prefix, self._bare = app, prefix, bare

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path == self._prefix:
            await self._bare(scope, receive, send)
            return
        if path.startswith(self._prefix + "/"):
            # `raw_path` stays: it is what the client sent, and nothing here routes by it
            scope = {**scope, "path": path.removeprefix(self._prefix)}
        await self._app(scope, receive, send)
