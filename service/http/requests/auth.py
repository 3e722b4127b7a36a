"""API keys: finds the key of a request and checks that it is known."""

import hmac

from starlette.requests import HTTPConnection

from service.errors import KeyMissing, NotAuthorized
from service.settings import Settings


def authorize(request: HTTPConnection, settings: Settings, body_key: object) -> None:
    """Accepts requests with a known key; accepts all requests when no keys are set.

    Raises:
        KeyMissing: no key was sent.
        NotAuthorized: the key is unknown.
    """
    if not settings.api_keys:
        return
    key = find_key(request, body_key)
    if not key:
        raise KeyMissing(
            "An API key is needed; send it as `api_key`, X-API-Key or Authorization: Bearer."
        )
    given = key.encode()
    known = [accepted.get_secret_value().encode() for accepted in settings.api_keys]
    # Every key is compared, in constant time, so that timing tells nothing.
    if not any([hmac.compare_digest(given, accepted) for accepted in known]):  # noqa: C419
        raise NotAuthorized("The API key is not known; ask the operator for one.")


def find_key(request: HTTPConnection, body_key: object) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("x-api-key", "") or (body_key if isinstance(body_key, str) else "")
