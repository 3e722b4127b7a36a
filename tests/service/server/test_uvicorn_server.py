import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI

from service.server.uvicorn_server import SWITCH_SECONDS, announce, open_listener, run_app
from service.settings import Settings


@pytest.fixture
def _switch_interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Ends the server before it listens."""


@pytest.mark.usefixtures("_switch_interval")
def test_every_server_hands_the_interpreter_over_early(tmp_path: Path) -> None:
    seen = []

    @asynccontextmanager
    async def note_interval(app: FastAPI) -> AsyncIterator[None]:
        seen.append(sys.getswitchinterval())
        raise Stopped
        yield

    with open_listener("127.0.0.1", 0) as listener, pytest.raises(Stopped):
        run_app(
            FastAPI(lifespan=note_interval),
            Settings(models_dir=tmp_path),
            listener,
            announce(listener),
        )

    assert seen == [pytest.approx(SWITCH_SECONDS)]
    assert sys.getswitchinterval() != pytest.approx(0.005)
