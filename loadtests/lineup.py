"""Starts all contestants of the comparison over HTTP, and keeps them standing still."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench_http import check_answer, choose_faster
from plan import Stage
from processes import Server
from servers import (
    FLOOR,
    PLAIN,
    ours_name,
    start_floor,
    start_litserve,
    start_plain,
    start_shape,
)

ENDPOINTS = ("async def", "def")
NO_LITSERVE = "LitServe is left out: no environment has it (see `make bench`, --litserve)"


@dataclass(frozen=True)
class Lineup:
    """All servers.

    Attributes:
        plain_endpoint: how the plain server is written: `def` or `async def`, whichever is faster.
    """

    servers: list[Server]
    plain_endpoint: str

    @property
    def contestants(self) -> list[Server]:
        """Those that classify."""
        return [server for server in self.servers if server.name != FLOOR]

    @property
    def ours(self) -> list[Server]:
        return [server for server in self.servers if server.name.startswith(ours_name(""))]


def start_lineup(stage: Stage, litserve: Path | None, stack: ExitStack) -> Lineup:
    """Starts and checks every server; the stack stops them.

    Args:
        stage: models and texts.
        litserve: interpreter of LitServe's environment; None leaves it out.
        stack: closed by the caller.
    """
    logs, shape = stage.folder, stage.shapes["fp32"]
    plain, endpoint = choose_plain(stage, stack)
    servers = [start_floor(logs), plain]
    if litserve:
        servers.append(start_litserve(litserve, shape, logs))
    else:
        print(NO_LITSERVE, flush=True)
    servers += [start_shape(each, logs) for each in stage.shapes.values()]
    for server in servers:
        if server is not plain:
            bring_up(server, stage, stack)
    return Lineup(servers, endpoint)


def bring_up(server: Server, stage: Stage, stack: ExitStack) -> None:
    """Waits until it answers as it should, and lets it stand still."""
    stack.callback(server.stop)
    server.wait_ready()
    check_answer(server, stage.probe)
    server.pause()


def choose_plain(stage: Stage, stack: ExitStack) -> tuple[Server, str]:
    """The faster way to write the plain server; the other one is stopped."""
    shape = stage.shapes["fp32"]
    candidates = {
        endpoint: start_plain(shape, stage.folder, endpoint, f"plain {endpoint}")
        for endpoint in ENDPOINTS
    }
    for server in candidates.values():
        bring_up(server, stage, stack)
    faster = choose_faster(list(candidates.values()), stage.bodies, stage.plan.seconds)
    (endpoint,) = (name for name, server in candidates.items() if server is faster)
    for server in candidates.values():
        if server is not faster:
            server.stop()
    faster.name = PLAIN
    print(f"  plain FastAPI is faster with {endpoint}", flush=True)
    return faster, endpoint
