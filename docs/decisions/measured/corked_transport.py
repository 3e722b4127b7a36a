"""Measures what the corked transport saves.

`python docs/decisions/measured/corked_transport.py APP`: a server process over uvicorn's protocol
and one over the corked one answer in turn, under `wrk`; with APP `bare` an ASGI function of two
messages, with `livez` that route of the service. Written: requests per second, CPU time of the
server per request (which a busy machine disturbs less), and the system calls that write, counted by
`strace`, per request; ratios are of neighbouring runs.
"""

import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.http.app import create_app
from service.server.corked_transport import CorkedProtocol
from service.server.listener import open_listener
from service.settings import Settings

SECONDS, ROUNDS, CONNECTIONS = 1, 13, 16
PROTOCOLS = {"plain": HttpToolsProtocol, "corked": CorkedProtocol}
BODY = b'{"status":"ok"}'
HEAD = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEAD})
    await send({"type": "http.response.body", "body": BODY})


def serve(app_name: str, protocol: type, listener: Any) -> None:
    app: Any = create_app(Settings(device="cpu")) if app_name == "livez" else answer
    config = uvicorn.Config(
        app, http=protocol, lifespan="off", log_config=None, access_log=False, loop="uvloop"
    )
    uvicorn.Server(config).run([listener])


@contextmanager
def run_server(app_name: str, name: str) -> Iterator[tuple[int, str]]:
    """Its process id and address."""
    with open_listener("127.0.0.1", 0) as listener:
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/livez"
        server = get_context("fork").Process(
            target=serve, args=(app_name, PROTOCOLS[name], listener)
        )
        server.start()
        assert server.pid is not None
        run_wrk(url, 1)
        yield server.pid, url
        server.terminate()
        server.join()


def measure(app_name: str, name: str) -> dict[str, float]:
    """One run of one server: requests per second, CPU microseconds of the server per request."""
    with run_server(app_name, name) as (pid, url):
        before = cpu_seconds(pid)
        requests, rate = run_wrk(url, SECONDS)
        spent = cpu_seconds(pid) - before
    return {"requests_per_second": rate, "cpu_us_per_request": 1e6 * spent / requests}


def count_writes(app_name: str, name: str) -> float:
    """System calls that write, per request."""
    with run_server(app_name, name) as (pid, url):
        command = ["strace", "-c", "-f", "-e", "trace=write,writev,sendto,sendmsg", "-p", str(pid)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
            time.sleep(0.5)
            requests, _ = run_wrk(url, 1)
            tracer.send_signal(signal.SIGINT)
            _, table = tracer.communicate()
    found = re.search(r"^100.00 +\S+ +\d+ +(\d+)", table, re.MULTILINE)
    assert found is not None, table
    return int(found[1]) / requests


def run_wrk(url: str, seconds: int) -> tuple[int, float]:
    """Requests answered, and requests per second."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"(\d+) requests in .*Requests/sec:\s+([\d.]+)", output, re.DOTALL)
    assert found is not None, output
    return int(found[1]), float(found[2])


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def compare(runs: dict[str, list[dict[str, float]]], key: str) -> dict[str, float]:
    """Corked over plain, of runs that were neighbours: median, least, greatest."""
    pairs = zip(runs["corked"], runs["plain"], strict=True)
    ratios = [corked[key] / plain[key] for corked, plain in pairs]
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def main(app_name: str) -> None:
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in PROTOCOLS}
    for number in range(ROUNDS):
        for name in sorted(PROTOCOLS, reverse=bool(number % 2)):
            runs[name].append(measure(app_name, name))
    medians = {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]}
        for name, found in runs.items()
    }
    report = {
        "python": platform.python_version(),
        "uvicorn": uvicorn.__version__,
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg(),
        "connections": CONNECTIONS,
        "seconds": SECONDS,
        "medians": medians,
        "ratios": {key: compare(runs, key) for key in medians["plain"]},
        "writes_per_request": {name: count_writes(app_name, name) for name in PROTOCOLS},
        "runs": runs,
    }
    Path(__file__).with_suffix(f".{app_name}.json").write_text(json.dumps(report, indent=1) + "\n")
    json.dump(
        {key: report[key] for key in ("medians", "ratios", "writes_per_request")},
        sys.stdout,
        indent=1,
    )


if __name__ == "__main__":
    main(sys.argv[1])
