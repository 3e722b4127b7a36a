"""The contestants: how each server is started, on what model."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtests.bench.workloads.shape_model import ShapeModel
from loadtests.measuring.places import ROOT
from loadtests.measuring.processes import Server

CONTESTANTS = "loadtests.bench.contestants"
# Of the task that is compared.
PATH = "/classify"
FLOOR, PLAIN, LITSERVE, TORCHSERVE = "HTTP floor", "plain FastAPI", "LitServe", "TorchServe"
NUM_PLAIN_WORKERS = 2
# An interpreter with packages of its own sees of ours only the source files.
OTHER_ENVIRONMENT = {"PYTHONPATH": str(ROOT), "VIRTUAL_ENV": ""}
TORCHSERVE_READY, TORCHSERVE_PATH = "/ping", "/predictions/shape"
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


def start_plain(shape: ShapeModel, logs: Path) -> Server:
    """FastAPI and onnxruntime with a worker per processor of the reference machine."""
    return start(
        PLAIN, uvicorn_command("app_plain", NUM_PLAIN_WORKERS), shape_variables(shape), logs
    )


def start_litserve(python: Path, shape: ShapeModel, logs: Path) -> Server:
    """LitServe, by the interpreter of its own environment."""
    command = [str(python), "-m", f"{CONTESTANTS}.app_litserve", "{port}"]
    return start(LITSERVE, command, shape_variables(shape) | OTHER_ENVIRONMENT, logs)


def start_torchserve(python: Path, shape: ShapeModel, logs: Path) -> Server:
    """TorchServe, by the interpreter of its own environment.

    Raises:
        RuntimeError: Java is not installed.
    """
    if shutil.which("java") is None:
        raise RuntimeError(
            "Java 17 is needed (Debian, Ubuntu: apt-get install openjdk-17-jre-headless)"
        )
    command = [str(python), "-m", f"{CONTESTANTS}.app_torchserve", "{port}"]
    command.append(str(logs / TORCHSERVE))
    environment = shape_variables(shape) | OTHER_ENVIRONMENT
    return start(TORCHSERVE, command, environment, logs, TORCHSERVE_READY, TORCHSERVE_PATH)


def shape_variables(shape: ShapeModel) -> dict[str, str]:
    """How a peer is told what it serves."""
    paths = {"BENCH_GRAPH": str(shape.graph), "BENCH_TOKENIZER": str(shape.tokenizer)}
    return paths | LIBRARY_THREADS


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
    ready_path: str = "/readyz",
    task_path: str = PATH,
) -> Server:
    return Server(
        name,
        command,
        environment,
        ready_path=ready_path,
        folder=ROOT,
        log=logs / f"{name.replace(' ', '-')}.log",
        task_path=task_path,
    )
