"""The contestants: how each server is started, on what model."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from processes import Server
from shape_model import ROOT, ShapeModel

HERE = Path(__file__).parent
FLOOR, PLAIN, LITSERVE = "HTTP floor", "plain FastAPI", "LitServe"
NUM_PLAIN_WORKERS = 2
LIBRARY_THREADS = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def start_ours(
    models_dir: Path, precision: str, logs: Path, name: str, flags: Sequence[str] = ()
) -> Server:
    """`seqserve serve`, as shipped but for the log line of every request."""
    command = [sys.executable, "-m", "service", "--port", "{port}", "--device", "cpu"]
    command += ["--models-dir", str(models_dir), "--precision", precision]
    command += ["--log-level", "warning", *flags]
    return start(name, command, {}, logs, folder=ROOT)


def start_shape(shape: ShapeModel, logs: Path, flags: Sequence[str] = ()) -> Server:
    return start_ours(shape.models_dir, shape.precision, logs, ours_name(shape.precision), flags)


def ours_name(precision: str) -> str:
    return f"seqserve {precision}"


def start_floor(logs: Path) -> Server:
    return start(FLOOR, uvicorn_command("app_floor:app", 1), {}, logs)


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
    command = uvicorn_command("app_plain:app", NUM_PLAIN_WORKERS)
    return start(name, command, environment | LIBRARY_THREADS, logs)


def start_litserve(python: Path, shape: ShapeModel, logs: Path) -> Server:
    """LitServe, by the interpreter of its own environment."""
    command = [str(python), "app_litserve.py", "{port}"]
    environment = {"BENCH_GRAPH": str(shape.graph), "BENCH_TOKENIZER": str(shape.tokenizer)}
    isolated = {"PYTHONPATH": "", "VIRTUAL_ENV": ""}
    return start(LITSERVE, command, environment | isolated | LIBRARY_THREADS, logs)


def uvicorn_command(app: str, num_workers: int) -> list[str]:
    command = [sys.executable, "-m", "uvicorn", app, "--host", "127.0.0.1", "--port", "{port}"]
    command += ["--workers", str(num_workers), "--loop", "uvloop", "--http", "httptools"]
    # a worker that stands still while others are measured must not be taken for dead
    command += ["--timeout-worker-healthcheck", "3600"]
    return [*command, "--no-access-log", "--log-level", "warning"]


def start(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    logs: Path,
    folder: Path = HERE,
    ready_path: str = "/readyz",
) -> Server:
    log = logs / f"{name.replace(' ', '-')}.log"
    return Server(name, command, environment, ready_path=ready_path, folder=folder, log=log)
