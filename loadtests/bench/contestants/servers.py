"""The contestants: how each server is started, on what model."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtests.bench.shape_model import ShapeModel
from loadtests.measuring.places import ROOT
from loadtests.measuring.processes import Server

CONTESTANTS = "loadtests.bench.contestants"
FLOOR, PLAIN, LITSERVE = "HTTP floor", "plain FastAPI", "LitServe"
NUM_PLAIN_WORKERS = 2
LIBRARY_THREADS = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
# The peers refuse nothing, so nor does ours where it is compared with them.
PATIENCE = ("--max-queue-wait-ms", "60000", "--max-standing-wait-ms", "60000")


def start_ours(
    models_dir: Path, precision: str, logs: Path, name: str, flags: Sequence[str] = ()
) -> Server:
    """`seqserve serve`, as shipped but for the log line of every request."""
    command = [sys.executable, "-m", "service", "--port", "{port}", "--device", "cpu"]
    command += ["--models-dir", str(models_dir), "--precision", precision]
    command += ["--log-level", "warning", *flags]
    return start(name, command, {}, logs)


def start_shape(shape: ShapeModel, logs: Path) -> Server:
    name = ours_name(shape.precision)
    return start_ours(shape.models_dir, shape.precision, logs, name, PATIENCE)


def ours_name(precision: str) -> str:
    return f"seqserve {precision}"


def start_floor(logs: Path) -> Server:
    return start(FLOOR, uvicorn_command("app_floor", 1), {}, logs)


def start_plain(shape: ShapeModel, logs: Path, endpoint: str, name: str = PLAIN) -> Server:
    """FastAPI and onnxruntime with a worker per processor of the reference machine.

    Args:
        shape: what it serves.
        logs: a folder.
        endpoint: `async def` or `def`.
        name: what the tables call it.
    """
    environment = {
        "BENCH_GRAPH": str(shape.graph),
        "BENCH_TOKENIZER": str(shape.tokenizer),
        "BENCH_ENDPOINT": endpoint,
    }
    command = uvicorn_command("app_plain", NUM_PLAIN_WORKERS)
    return start(name, command, environment | LIBRARY_THREADS, logs)


def start_litserve(python: Path, shape: ShapeModel, logs: Path) -> Server:
    """LitServe, by the interpreter of its own environment, which cannot import this package."""
    command = [str(python), str(Path(__file__).with_name("app_litserve.py")), "{port}"]
    environment = {"BENCH_GRAPH": str(shape.graph), "BENCH_TOKENIZER": str(shape.tokenizer)}
    isolated = {"PYTHONPATH": "", "VIRTUAL_ENV": ""}
    return start(LITSERVE, command, environment | isolated | LIBRARY_THREADS, logs)


def uvicorn_command(module: str, num_workers: int) -> list[str]:
    command = [sys.executable, "-m", "uvicorn", f"{CONTESTANTS}.{module}:app"]
    command += ["--host", "127.0.0.1", "--port", "{port}"]
    command += ["--workers", str(num_workers), "--loop", "uvloop", "--http", "httptools"]
    # a worker that stands still while others are measured must not be taken for dead
    command += ["--timeout-worker-healthcheck", "3600"]
    return [*command, "--no-access-log", "--log-level", "warning"]


def start(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    logs: Path,
) -> Server:
    log = logs / f"{name.replace(' ', '-')}.log"
    return Server(name, command, environment, ready_path="/readyz", folder=ROOT, log=log)
