"""`ab`, Apache's benchmark, which speaks HTTP/1.0."""

import json
import re
from pathlib import Path

import pytest

from tests.clients.programs import needs, run
from tests.integration.server import Server


@needs("ab")
@pytest.mark.parametrize("flags", [(), ("-k",)], ids=["close", "keep-alive"])
def test_no_request_of_ab_fails(flags: tuple[str, ...], tmp_path: Path, server: Server) -> None:
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"q": "Two dogs.", "source": "en", "target": "de"}))

    said = run(
        *("ab", *flags, "-n", "60", "-c", "4", "-p", str(body), "-T", "application/json"),
        f"{server.url}/translate",
    )

    assert re.search(r"Complete requests: +60\n", said)
    assert re.search(r"Failed requests: +0\n", said)
    assert "Non-2xx responses" not in said
