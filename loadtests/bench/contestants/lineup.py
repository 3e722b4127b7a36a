"""Starts all contestants of the comparison over HTTP, and keeps them standing still."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from loadtests.bench.contestants.servers import (
    FLOOR,
    PLAIN,
    ours_name,
    start_floor,
    start_litserve,
    start_plain,
    start_shape,
)
from loadtests.bench.plan import BenchContext
from loadtests.bench.shape_model import ShapeModel
from loadtests.bench.throughput import bring_up, choose_faster
from loadtests.measuring.processes import Server, enlist

ENDPOINTS = ("async def", "def")


@dataclass(frozen=True)
class Contestants:
    """All servers.

    Attributes:
        plain_endpoint: how the plain server is written: `def` or `async def`, whichever is faster.
    """

    servers: list[Server]
    plain_endpoint: str

    @property
    def classifiers(self) -> list[Server]:
        """Those that classify."""
        return [server for server in self.servers if server.name != FLOOR]

    @property
    def ours(self) -> list[Server]:
        return [server for server in self.servers if server.name.startswith(ours_name(""))]


def start_contestants(
    context: BenchContext, litserve: Path | None, stack: ExitStack
) -> Contestants:
    """Starts and checks every server; the stack stops them.

    Args:
        context: models and texts.
        litserve: interpreter of LitServe's environment; None leaves it out.
        stack: closed by the caller.
    """
    logs, shape = context.folder, context.shapes["fp32"]
    plain, endpoint = choose_plain(context, stack)
    floor = enlist(start_floor(logs), stack)
    ours = [enlist(start_shape(each, logs), stack) for each in context.shapes.values()]
    for server in (floor, *ours):
        bring_up(server, context)
    peers = [plain, *bring_litserve(litserve, shape, context, stack)]
    return Contestants([floor, *peers, *ours], endpoint)


def bring_litserve(
    python: Path | None, shape: ShapeModel, context: BenchContext, stack: ExitStack
) -> list[Server]:
    """LitServe if there is one that starts; the comparison does without it otherwise."""
    if python is None:
        print("  LitServe is left out: --litserve names no environment with it", flush=True)
        return []
    server = enlist(start_litserve(python, shape, context.folder), stack)
    try:
        bring_up(server, context)
    except RuntimeError as exc:
        print(f"  LitServe is left out: {exc}", flush=True)
        return []
    return [server]


def choose_plain(context: BenchContext, stack: ExitStack) -> tuple[Server, str]:
    """The faster way to write the plain server; the other one is stopped."""
    shape = context.shapes["fp32"]
    candidates = {
        endpoint: enlist(start_plain(shape, context.folder, endpoint, f"plain {endpoint}"), stack)
        for endpoint in ENDPOINTS
    }
    for server in candidates.values():
        bring_up(server, context)
    faster = choose_faster(list(candidates.values()), context)
    (endpoint,) = (name for name, server in candidates.items() if server is faster)
    for server in candidates.values():
        if server is not faster:
            server.stop()
    faster.name = PLAIN
    print(f"  plain FastAPI is faster with {endpoint}", flush=True)
    return faster, endpoint
