"""A peer of the benchmark: TorchServe with the same graph, its batching tuned.

Runs in an environment of its own; needs Java 17. As a program it packs itself as TorchServe's model
archive and becomes the server: its workers import the handler from there. The handler runs
onnxruntime, as all others do; PyTorch took 2.6 times as long for the same batches. The variables
BENCH_* are for tuning; the defaults are the best of what was tried on two processors: one or two
workers, batches of 8 to 64, waits of 0 to 5 ms.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtests.bench.contestants.split_classifier import SplitClassifier

MODEL = "shape"
MAX_BATCH_SIZE = int(os.environ.get("BENCH_BATCH_SIZE", "32"))
BATCH_DELAY_MS = int(os.environ.get("BENCH_BATCH_DELAY_MS", "1"))
NUM_WORKERS = int(os.environ.get("BENCH_WORKERS", "2"))
MAX_QUEUE_SIZE = 1000
# What the server, Java and its workers leave behind goes where these say.
FOLDERS = ("LOG_LOCATION", "METRICS_LOCATION", "TEMP", "TMPDIR")
# Nothing is logged for a request, as with the other servers.
LOGGING = """<Configuration>
<Appenders><Console name="STDOUT"><PatternLayout pattern="%p %c - %m%n"/></Console></Appenders>
<Loggers><Root level="warn"><AppenderRef ref="STDOUT"/></Root></Loggers>
</Configuration>
"""


class Handler:
    """What TorchServe calls in each of its workers."""

    def initialize(self, context: object) -> None:  # noqa: ARG002 - TorchServe's signature
        # each line of a worker is read and parsed by the server
        logging.getLogger().setLevel(logging.WARNING)
        self._classifier = SplitClassifier(
            Path(os.environ["BENCH_GRAPH"]), Path(os.environ["BENCH_TOKENIZER"])
        )

    def handle(self, data: Sequence[dict[str, Any]], context: object) -> list[str]:  # noqa: ARG002
        """Answers a batch of bodies."""
        rows = [self._classifier.encode(each["body"]["inputs"]) for each in data]
        return [json.dumps(answer) for answer in self._classifier.classify(rows)]


def write_settings(folder: Path, port: int) -> Path:
    """The server's configuration file; it chooses the other ports itself."""
    model = {
        "defaultVersion": True,
        "marName": f"{MODEL}.mar",
        "minWorkers": NUM_WORKERS,
        "maxWorkers": NUM_WORKERS,
        "batchSize": MAX_BATCH_SIZE,
        "maxBatchDelay": BATCH_DELAY_MS,
    }
    settings = {
        "inference_address": f"http://127.0.0.1:{port}",
        "management_address": f"unix:{folder}/management.sock",
        "metrics_address": f"unix:{folder}/metrics.sock",
        "grpc_inference_port": 0,
        "grpc_management_port": 0,
        "model_store": folder,
        "load_models": f"{MODEL}.mar",
        "models": json.dumps({MODEL: {"1.0": model}}),
        "job_queue_size": MAX_QUEUE_SIZE,
        "disable_token_authorization": "true",
        "disable_system_metrics": "true",
        "enable_metrics_api": "false",
        "async_logging": "true",
    }
    path = folder / "config.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()), "utf-8")
    return path


def main() -> None:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir()
    subprocess.run(
        [
            *(Path(sys.executable).with_name("torch-model-archiver"), "--model-name", MODEL),
            *("--version", "1.0", "--handler", __file__, "--export-path", folder),
        ],
        check=True,
    )
    (folder / "log4j2.xml").write_text(LOGGING, "utf-8")
    os.environ |= {name: str(folder) for name in FOLDERS}
    command = [sys.executable, "-m", "ts.model_server", "--start", "--foreground", "--ncs"]
    command += ["--ts-config", str(write_settings(folder, port))]
    command += ["--log-config", str(folder / "log4j2.xml")]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
