"""One service in two ways, in int8 and float32, measured in turn by wrk over the same load.

The others stand still meanwhile, so that neighbouring turns can be compared.
"""

import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from loadtests.bench.contestants.lineup import bring_up
from loadtests.bench.contestants.servers import PATIENCE, start
from loadtests.bench.parts.throughput import Round, measure_http
from loadtests.bench.plan import BenchContext, BenchPlan, make_context
from loadtests.measuring.processes import Server
from service.repository.manifest import Precision

PRECISIONS: tuple[Precision, ...] = ("int8", "fp32")


def measure_ways(script: str, ways: Sequence[str], plan: BenchPlan) -> dict[int, list[Round]]:
    """Rounds by number of connections, of servers that are named by way and precision.

    Args:
        script: path of a Python script that serves as `SCRIPT serve WAY ARGUMENTS...` says.
        ways: to serve.
        plan: rounds, seconds and numbers of connections.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        context = make_context(plan, Path(folder))
        servers = []
        for precision in PRECISIONS:
            for way in ways:
                server = start_way(script, way, precision, context)
                stack.callback(server.stop)
                bring_up(server, context)
                servers.append(server)
        rounds: dict[int, list[Round]] = measure_http(servers, context, dict)["rounds"]
        return rounds


def start_way(script: str, way: str, precision: Precision, context: BenchContext) -> Server:
    models_dir = context.shapes[precision].models_dir
    command = [sys.executable, script, "serve", way, "--port", "{port}", "--device", "cpu"]
    command += ["--models-dir", str(models_dir), "--precision", precision, "--workers", "2"]
    command += ["--log-level", "warning", *PATIENCE]
    return start(f"{way} {precision}", command, {}, context.folder)
