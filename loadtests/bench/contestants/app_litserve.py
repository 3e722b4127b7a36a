"""A peer of the benchmark: LitServe with the same graph, its batching tuned.

Runs in an environment of its own. The variables BENCH_* are for tuning; the defaults are the best
of what was tried on two processors: one or two workers and API servers, batches of 1, 8, 16 and 32,
waits of 0 to 5 ms, with and without its fast queue.
"""

import os
import sys
from pathlib import Path
from typing import Any

import litserve

from loadtests.bench.contestants.split_classifier import Answer, SplitClassifier

MAX_BATCH_SIZE = int(os.environ.get("BENCH_BATCH_SIZE", "16"))
BATCH_TIMEOUT_SECONDS = float(os.environ.get("BENCH_BATCH_TIMEOUT", "0.002"))
NUM_WORKERS = int(os.environ.get("BENCH_WORKERS", "2"))
NUM_API_SERVERS = int(os.environ.get("BENCH_API_SERVERS", "2"))
USE_FAST_QUEUE = os.environ.get("BENCH_FAST_QUEUE", "1") == "1"


class ClassifierAPI(litserve.LitAPI):  # type: ignore[misc]
    """Tokenizes on the way in, runs the graph on a batch that is split by length."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        self._classifier = SplitClassifier(
            Path(os.environ["BENCH_GRAPH"]), Path(os.environ["BENCH_TOKENIZER"])
        )

    def decode_request(self, request: dict[str, Any]) -> list[int]:
        return self._classifier.encode(request["inputs"])

    def batch(self, inputs: list[list[int]]) -> list[list[int]]:
        return inputs

    def predict(self, inputs: list[list[int]]) -> list[Answer]:
        return self._classifier.classify(inputs)

    def unbatch(self, output: list[Answer]) -> list[Answer]:
        return output

    def encode_response(self, output: Answer) -> Answer:
        return output


def main() -> None:
    api = ClassifierAPI(
        api_path="/classify", max_batch_size=MAX_BATCH_SIZE, batch_timeout=BATCH_TIMEOUT_SECONDS
    )
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=NUM_WORKERS,
        healthcheck_path="/readyz",
        fast_queue=USE_FAST_QUEUE,
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=NUM_API_SERVERS,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )


if __name__ == "__main__":
    main()
