"""Many people who type now and then: `python -m loadtests.clients.tag_stream`.

Opens connections to `/tag/stream`, types sentences on each at the speed of a person with pauses
between them, and prints how long an event took after its character, how much memory the server
takes, and whether everything is freed in the end. With a name, it writes
loadtests/results/NAME.tag_stream.json.
"""

import argparse
import asyncio
import json
import random
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from loadtests.measuring.figures import percentile
from loadtests.measuring.machine import describe_machine
from loadtests.measuring.places import RESULTS, ROOT
from loadtests.measuring.processes import OPENER, Server, enlist, raise_file_limit
from loadtests.measuring.tables import format_table, write_json

TEXTS = (
    "오늘은날씨가좋아서산책을나갔다.",
    "내일아침일곱시에역앞에서만나요.",
    "이책은생각보다어렵지않았다.",
    "저녁에는친구들과영화를보기로했어요.",
)
CHARS_PER_SECOND = 5.0  # of a person who types
MIB = 2**20


CONNECT_AT_ONCE = 50
SETTLE_SECONDS = 2.0  # in which the server sees that its clients have gone


@dataclass
class Figures:
    """What all connections together saw.

    Attributes:
        waits: seconds from a frame to its event.
        errors: connections that ended early, by what they said.
    """

    waits: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    num_texts: int = 0


@dataclass(frozen=True)
class Typist:
    """How each person types.

    Attributes:
        seconds: that they type.
        pause_seconds: between two sentences, on average.
    """

    seconds: float
    pause_seconds: float


@dataclass(frozen=True)
class ServerState:
    """The server at one moment, by its own metrics.

    Attributes:
        rss_bytes: resident memory.
        cpu_seconds: processor time since it started.
        num_streams: texts being labelled.
    """

    rss_bytes: float
    cpu_seconds: float
    num_streams: float


def main(argv: Sequence[str] | None = None) -> None:
    given = parse_arguments(argv)
    raise_file_limit()
    typist = Typist(given.seconds, given.pause_seconds)
    with ExitStack() as stack:
        url = given.url or start_server(stack).url()
        results = asyncio.run(measure(url, typist, given.connections))
    command = shlex.join(
        ["loadtests.clients.tag_stream", *(sys.argv[1:] if argv is None else argv)]
    )
    results = {"about": describe_machine() | {"command": command}} | results
    print_results(results)
    if given.name:
        write_json(results, RESULTS / f"{given.name}.tag_stream.json")
    if results["errors"]:
        raise SystemExit("Some connections ended early.")


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="loadtests.clients.tag_stream", description=__doc__)
    add = parser.add_argument
    add("--url", default="", help="a server that runs; else one is started, with one worker")
    add("--connections", type=int, default=1000, help="default: %(default)s")
    add("--seconds", type=float, default=60.0, help="default: %(default)s")
    add("--pause-seconds", type=float, default=30.0, help="between two sentences, on average "
        "(default: %(default)s)")  # fmt: skip
    add("--name", default="", help="of the file in loadtests/results; by default none is written")
    return parser.parse_args(argv)


def start_server(stack: ExitStack) -> Server:
    """The service as shipped, but for its log, in one process, whose memory is then all of it."""
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="seqserve-load-")))
    command = [sys.executable, "-m", "service", "--port", "{port}", "--workers", "1"]
    server = Server(
        "seqserve",
        [*command, "--log-level", "warning"],
        {},
        ready_path="/readyz",
        folder=ROOT,
        log=scratch / "service.log",
    )
    enlist(server, stack)
    server.wait_ready()
    return server


async def measure(url: str, typist: Typist, num_connections: int) -> dict[str, Any]:
    """Opens the connections, types on them for some time and closes them.

    Raises:
        OSError, WebSocketException: a connection could not be opened.
    """
    figures = Figures()
    states = {"before": await read_server(url)}
    async with AsyncExitStack() as stack:
        sockets = await open_sockets(url, num_connections, stack)
        states["open"] = await read_server(url)
        await asyncio.gather(
            *(
                type_texts(typist, socket, random.Random(seed), figures)
                for seed, socket in enumerate(sockets)
            )
        )
        states["typed"] = await read_server(url)
    await asyncio.sleep(SETTLE_SECONDS)
    states["closed"] = await read_server(url)
    return describe_figures(typist, figures, states, num_connections)


async def open_sockets(
    url: str, num_connections: int, stack: AsyncExitStack
) -> list[ClientConnection]:
    """Connections that are open until the stack is closed."""
    address, turns = (
        url.replace("http", "ws", 1) + "/tag/stream",
        asyncio.Semaphore(CONNECT_AT_ONCE),
    )

    async def open_socket() -> ClientConnection:
        async with turns:
            return await connect(address, proxy=None, open_timeout=60.0, compression=None)

    opened = await asyncio.gather(
        *(open_socket() for _ in range(num_connections)), return_exceptions=True
    )
    sockets = [each for each in opened if isinstance(each, ClientConnection)]
    for socket in sockets:
        stack.push_async_callback(socket.close)
    for error in opened:
        if isinstance(error, BaseException):
            raise error
    return sockets


async def type_texts(
    typist: Typist, socket: ClientConnection, rng: random.Random, figures: Figures
) -> None:
    """One person: a character at a time, and a pause after each text."""
    ends_at = time.monotonic() + typist.seconds
    await asyncio.sleep(rng.random() * min(typist.pause_seconds, typist.seconds))
    try:
        while time.monotonic() < ends_at:
            for frame in [*rng.choice(TEXTS), ""]:
                started_at = time.monotonic()
                await socket.send(frame)
                event = json.loads(await socket.recv())
                figures.waits.append(time.monotonic() - started_at)
                if "error" in event:
                    raise OSError(event["error"])
                await asyncio.sleep(rng.expovariate(CHARS_PER_SECOND))
            figures.num_texts += 1
            pause = rng.expovariate(1.0 / typist.pause_seconds)
            await asyncio.sleep(max(0.0, min(pause, ends_at - time.monotonic())))
    except Exception as exc:  # whatever it is, the others go on and it is counted
        figures.errors.append(f"{type(exc).__name__}: {exc}")


async def read_server(url: str) -> ServerState:
    return await asyncio.to_thread(read_metrics, url)


def read_metrics(url: str) -> ServerState:
    with OPENER.open(f"{url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return ServerState(
        float(values["process_resident_memory_bytes"]),
        float(values["process_cpu_seconds_total"]),
        float(values["seqserve_tag_streams"]),
    )


def describe_figures(
    typist: Typist, figures: Figures, states: dict[str, ServerState], num_connections: int
) -> dict[str, Any]:
    """The figures as JSON; times in milliseconds, memory in bytes."""
    waits = [1000 * seconds for seconds in figures.waits]
    added = states["typed"].rss_bytes - states["before"].rss_bytes
    return {
        "num_connections": num_connections,
        "seconds": typist.seconds,
        "pause_seconds": typist.pause_seconds,
        "states": {
            name: {"rss_bytes": state.rss_bytes, "num_streams": state.num_streams}
            for name, state in states.items()
        },
        "bytes_per_connection": added / num_connections,
        "num_texts": figures.num_texts,
        "num_events": len(waits),
        "events_per_second": len(waits) / typist.seconds,
        "latency_ms": {
            name: percentile(waits, percent)
            for name, percent in (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100))
        },
        "server_cpus": (states["typed"].cpu_seconds - states["open"].cpu_seconds) / typist.seconds,
        "errors": figures.errors,
    }


def print_results(results: dict[str, Any]) -> None:
    rows = [
        (name, state["num_streams"], state["rss_bytes"] / MIB)
        for name, state in results["states"].items()
    ]
    print(format_table(("", "connections", "MiB"), rows))
    latency = ", ".join(f"{name} {value:.1f} ms" for name, value in results["latency_ms"].items())
    print(
        f"{results['num_events']} events of {results['num_texts']} texts in "
        f"{results['seconds']:.0f} s: {latency}\n"
        f"{results['bytes_per_connection'] / 1024:.1f} KiB per connection, "
        f"{results['server_cpus']:.2f} processors; {len(results['errors'])} errors "
        f"{results['errors'][:3]}"
    )


if __name__ == "__main__":
    main()
