"""A peer of the benchmark: LitServe with the same graph, its batching tuned.

Runs in an environment of its own, which does not have this project. The variables BENCH_* are for
tuning; the defaults are the best of what was tried on two processors: one or two workers and API
servers, batches of 1, 8, 16 and 32, waits of 0 to 5 ms, with and without its fast queue.
"""

import os
import sys
from typing import Any

import litserve
import numpy as np
import onnxruntime
import tokenizers
from numpy.typing import NDArray

LABELS = ("negative", "positive")
MAX_BATCH_SIZE = int(os.environ.get("BENCH_BATCH_SIZE", "16"))
BATCH_TIMEOUT_SECONDS = float(os.environ.get("BENCH_BATCH_TIMEOUT", "0.002"))
NUM_WORKERS = int(os.environ.get("BENCH_WORKERS", "2"))
NUM_API_SERVERS = int(os.environ.get("BENCH_API_SERVERS", "2"))
USE_FAST_QUEUE = os.environ.get("BENCH_FAST_QUEUE", "1") == "1"


class ClassifierAPI(litserve.LitAPI):  # type: ignore[misc]
    """Tokenizes on the way in, pads a batch, runs the graph on one thread."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            os.environ["BENCH_GRAPH"], options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = tokenizers.Tokenizer.from_file(os.environ["BENCH_TOKENIZER"])

    def decode_request(self, request: dict[str, Any]) -> list[int]:
        token_ids: list[int] = self._tokenizer.encode(request["inputs"]).ids
        return token_ids

    def batch(self, inputs: list[list[int]]) -> list[list[int]]:
        return inputs

    def predict(self, inputs: list[list[int]] | list[int]) -> NDArray[np.float32]:
        rows: list[Any] = inputs if MAX_BATCH_SIZE > 1 else [inputs]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        input_ids = np.zeros((len(rows), int(lengths.max())), dtype=np.int64)
        for line, row in zip(input_ids, rows, strict=True):
            line[: len(row)] = row
        (logits,) = self._session.run(None, {"input_ids": input_ids, "lengths": lengths})
        found: NDArray[np.float32] = logits if MAX_BATCH_SIZE > 1 else logits[0]
        return found

    def unbatch(self, output: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return list(output)

    def encode_response(self, output: NDArray[np.float32]) -> list[list[dict[str, Any]]]:
        powers = np.exp(output - output.max())
        scores = (powers / powers.sum()).tolist()
        found = sorted(zip(scores, LABELS, strict=True), reverse=True)
        return [[{"label": label, "score": score} for score, label in found]]


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
