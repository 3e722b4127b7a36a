"""Many people who type now and then: `python -m loadtests.clients.tag_stream`.

Opens connections to `/tag/stream` of a running server, types sentences on each at the speed of a
person with pauses between them, and prints how long an event took after its character, how much
memory the server has, and whether everything is freed in the end.
"""

import argparse
import asyncio
import json
import random
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from websockets.asyncio.client import connect

TEXTS = (
    "오늘은날씨가좋아서산책을나갔다.",
    "내일아침일곱시에역앞에서만나요.",
    "이책은생각보다어렵지않았다.",
    "저녁에는친구들과영화를보기로했어요.",
)
CHARS_PER_SECOND = 5.0  # of a person who types
MIB = 2**20


@dataclass
class Figures:
    """What all connections together saw.

    Attributes:
        latencies: seconds from a frame to its event.
        errors: connections that ended early, by what they said.
    """

    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    num_texts: int = 0


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="loadtests.clients.tag_stream", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="default: %(default)s")
    parser.add_argument("--connections", type=int, default=1000, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=60.0, help="default: %(default)s")
    parser.add_argument(
        "--pause-seconds",
        type=float,
        default=30.0,
        help="between two sentences, on average (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    typist = Typist(arguments.url, arguments.seconds, arguments.pause_seconds)
    asyncio.run(run(typist, arguments.connections))


@dataclass(frozen=True)
class Typist:
    """How each person types.

    Attributes:
        url: of the server.
        seconds: that they type.
        pause_seconds: between two sentences, on average.
    """

    url: str
    seconds: float
    pause_seconds: float


async def run(typist: Typist, num_connections: int) -> None:
    """Opens the connections, types on them for some time, closes them, and prints the figures."""
    url, seconds = typist.url, typist.seconds
    figures, is_open = Figures(), asyncio.Barrier(num_connections + 1)
    before = await asyncio.to_thread(read_server, url)
    tasks = [
        asyncio.create_task(type_texts(typist, random.Random(seed), is_open, figures))
        for seed in range(num_connections)
    ]
    await is_open.wait()
    idle = await asyncio.to_thread(read_server, url)
    print(f"{idle['streams']:.0f} connections are open")
    await asyncio.sleep(seconds)
    during = await asyncio.to_thread(read_server, url)
    await asyncio.gather(*tasks)
    await asyncio.sleep(2.0)
    after = await asyncio.to_thread(read_server, url)
    names = ("before", "open, idle", "after typing", "all closed")
    for name, state in zip(names, (before, idle, during, after), strict=True):
        print(f"{name}: {state['bytes'] / MIB:.1f} MiB, {state['streams']:.0f} connections")
    quantiles = np.quantile(figures.latencies, (0.5, 0.95, 0.99, 1.0)) * 1000
    shown = ", ".join(
        f"{name} {value:.1f} ms"
        for name, value in zip(("p50", "p95", "p99", "max"), quantiles, strict=True)
    )
    print(
        f"{len(figures.latencies)} events in {seconds:.0f} s, {figures.num_texts} texts, "
        f"{shown}; CPU {during['cpu'] - idle['cpu']:.1f} s; {len(figures.errors)} errors "
        f"{figures.errors[:3]}"
    )


async def type_texts(
    typist: Typist, rng: random.Random, is_open: asyncio.Barrier, figures: Figures
) -> None:
    """One person: a character at a time, and a pause after each text."""
    address = typist.url.replace("http", "ws", 1) + "/tag/stream"
    await asyncio.sleep(rng.random() * 5.0)
    try:
        async with connect(address, proxy=None, open_timeout=60.0, compression=None) as socket:
            await is_open.wait()
            ends_at = time.monotonic() + typist.seconds
            await asyncio.sleep(rng.random() * typist.pause_seconds)
            while time.monotonic() < ends_at:
                for frame in [*rng.choice(TEXTS), ""]:
                    started_at = time.monotonic()
                    await socket.send(frame)
                    event = json.loads(await socket.recv())
                    figures.latencies.append(time.monotonic() - started_at)
                    if "error" in event:
                        raise OSError(event["error"])
                    await asyncio.sleep(rng.expovariate(CHARS_PER_SECOND))
                figures.num_texts += 1
                pause = rng.expovariate(1.0 / typist.pause_seconds)
                await asyncio.sleep(max(0.0, min(pause, ends_at - time.monotonic())))
    except Exception as exc:  # whatever it is, the others go on and it is counted
        figures.errors.append(f"{type(exc).__name__}: {exc}")


def read_server(url: str) -> dict[str, float]:
    """Memory, processor time and connections of the server, by its own metrics."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {
        "bytes": float(values["process_resident_memory_bytes"]),
        "cpu": float(values["process_cpu_seconds_total"]),
        "streams": float(values["seqserve_tag_streams"]),
    }


if __name__ == "__main__":
    main()
