import threading
from collections.abc import Iterator

import pytest

from tests.loadtests.clients.recorder import Handler, Server


@pytest.fixture
def port() -> Iterator[int]:
    Handler.bodies.clear()
    Handler.paths.clear()
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()
