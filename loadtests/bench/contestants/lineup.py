"""Starts all contestants of the comparison over HTTP, and keeps them standing still."""

import json
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from loadtests.bench.contestants.servers import (
    FLOOR,
    LITSERVE,
    TORCHSERVE,
    start_floor,
    start_litserve,
    start_plain,
    start_shape,
    start_torchserve,
)
from loadtests.bench.plan import BenchContext
from loadtests.bench.workloads.shape_model import ShapeModel
from loadtests.measuring.processes import OPENER, Server, enlist

PEERS: dict[str, Callable[[Path, ShapeModel, Path], Server]] = {
    LITSERVE: start_litserve,
    TORCHSERVE: start_torchserve,
}


@dataclass
class Contestants:
    """The servers, floor and peers first.

    Attributes:
        left_out: why a peer is not among them, by its name.
    """

    servers: list[Server] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def classifiers(self) -> list[Server]:
        """Those that classify."""
        return [server for server in self.servers if server.name != FLOOR]


def start_contestants(
    context: BenchContext, pythons: Mapping[str, Path], stack: ExitStack
) -> Contestants:
    """Starts and checks every server; the stack stops them.

    Args:
        context: models and texts.
        pythons: the interpreters of the peers' own environments; a peer without one is left out.
        stack: closed by the caller.
    """
    logs, shape = context.folder, context.shapes["fp32"]
    ours = [partial(start_shape, each, logs) for each in context.shapes.values()]
    contestants = Contestants()
    for start in (partial(start_floor, logs), partial(start_plain, shape, logs)):
        contestants.servers.append(bring(start, context, stack))
    for name, start_peer in PEERS.items():
        try:
            start = partial(start_peer, require_python(name, pythons), shape, logs)
            contestants.servers.append(bring(start, context, stack))
        except (RuntimeError, OSError) as exc:
            print(f"  {name} is left out: {exc}", flush=True)
            contestants.left_out[name] = str(exc)
    contestants.servers += [bring(start, context, stack) for start in ours]
    return contestants


def bring(start: Callable[[], Server], context: BenchContext, stack: ExitStack) -> Server:
    server = enlist(start(), stack)
    bring_up(server, context)
    return server


def bring_up(server: Server, context: BenchContext) -> None:
    """Waits until it answers as it should, and lets it stand still."""
    server.wait_ready()
    check_answer(server, context.probe)
    server.pause()


def check_answer(server: Server, body: str) -> None:
    """Sends one request, so that no server is measured on errors.

    Raises:
        RuntimeError: the answer is not a list of labels with scores.
    """
    request = urllib.request.Request(
        server.url(server.task_path), body.encode(), {"Content-Type": "application/json"}
    )
    with OPENER.open(request, timeout=30) as response:
        answer = json.load(response)
    try:
        scores = [float(label["score"]) for label in answer[0]]
    except (IndexError, KeyError, TypeError) as exc:
        raise RuntimeError(f"{server.name} gives no labels: {answer}") from exc
    if not 0.99 < sum(scores) < 1.01:
        raise RuntimeError(f"{server.name} gives scores that are not probabilities: {scores}")


def require_python(name: str, pythons: Mapping[str, Path]) -> Path:
    """The interpreter of a peer.

    Raises:
        RuntimeError: none is given.
    """
    python = pythons.get(name)
    if python is None:
        raise RuntimeError(f"--{name.lower()} names no environment with it")
    return python
