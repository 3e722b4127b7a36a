"""A WebSocket through a real nginx, with the configuration that users are given."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.integration.nginx import needs_nginx, read_seconds, run_nginx
from tests.integration.server import run_server

TAGGERS = Path(__file__).parents[1] / "service" / "tiny_taggers"

pytestmark = [pytest.mark.slow, needs_nginx]


@pytest.fixture
def socket(tmp_path: Path) -> Iterator[ClientConnection]:
    with run_server(TAGGERS, tmp_path / "log") as server:
        port = urlsplit(server.url).port
        assert port is not None
        with (
            run_nginx((port, port)) as url,
            connect(url.replace("http", "ws", 1) + "/tag/stream", proxy=None) as opened,
        ):
            yield opened


def test_a_text_goes_on_after_a_pause_longer_than_a_request_may_take(
    socket: ClientConnection,
) -> None:
    def ask(frame: str) -> int:
        socket.send(frame)
        end: int = json.loads(socket.recv(30))["end"]
        return end

    ask("나는")
    time.sleep(read_seconds("proxy_read_timeout") + 2)
    ask("학교에")

    assert ask("") == len("나는학교에")
