"""The clients that the service is tested with, with the versions that the tests install."""

import json
import re
from pathlib import Path

from docs.generate.tables import format_table

# What each does in tests/clients, `make clients`.
PYTHON = {
    "libretranslatepy": "translates, detects, lists languages, sends a key",
    "libretranslate-aio": "the same, sync and async, arrays, HTML, settings and health",
    "deep-translator": "translates a text and a batch, fields in the query string",
    "huggingface-hub": "classifies and translates, sync and async, knowing the address alone",
    "httpx-sse": "reads a stream, sync and async",
    "openapi-python-client": "makes a client of the OpenAPI document, which is used",
    "openapi-generator-cli": "the same, in Java",
    "playwright": "uses the web page: tabs, keyboard, streams, labels as text is typed",
    "schemathesis": "sends requests made of the OpenAPI document, all checks",
}
JAVASCRIPT = {"@huggingface/inference": "classifies and translates, in node"}
# Installed by the system, so that the version is the system's.
PROGRAMS = {
    "Chromium": "a page of another origin reads a stream with `fetch`",
    "`ab`": "speaks HTTP/1.0, with and without keep-alive",
    "`curl --http2`": "offers an upgrade to HTTP/2 (`make test`)",
    "Java's HttpClient": "offers an upgrade to HTTP/2 (`make test`)",
    "Prometheus": "scrapes metrics and exemplars (`make rules`)",
}
# Not run themselves: their requests, and what they read of the answers, are tests of ours.
REQUESTS = {
    "LibreTranslate": "its API as documented",
    "Weblate": "languages, batches of strings, its placeholders, errors",
    "Mastodon": "languages, posts in HTML with emoji, warnings and polls",
}


def describe_clients(root: Path) -> str:
    """A table of the clients."""
    locked = dict(re.findall(r"^([\w-]+)==(\S+)", (root / "requirements.lock").read_text(), re.M))
    package = json.loads((root / "tests" / "clients" / "package.json").read_text())
    rows = [
        *((f"`{name}`", locked[name], does) for name, does in PYTHON.items()),
        *((f"`{name}`", package["dependencies"][name], does) for name, does in JAVASCRIPT.items()),
        *((name, "the system's", does) for name, does in PROGRAMS.items()),
        *((name, "its requests", does) for name, does in REQUESTS.items()),
    ]
    return format_table(("client", "version", "what it does in the tests"), rows)
