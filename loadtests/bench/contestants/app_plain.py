"""A peer of the benchmark: plain FastAPI and onnxruntime, one run of the graph per request.

What an engineer writes without this project, and writes well: the tokenizer and the session are
made once per worker, the session has one thread since there is a worker per processor, the answer
is built without a response model. The endpoint is `async def`, which computes on the event loop:
faster than `def`, which FastAPI runs on a thread of its pool.
"""

import os

import numpy as np
import onnxruntime
import tokenizers
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel

LABELS = ("negative", "positive")


class ClassifyRequest(BaseModel):
    inputs: str


def open_session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        os.environ["BENCH_GRAPH"], options, providers=["CPUExecutionProvider"]
    )


app = FastAPI()
tokenizer = tokenizers.Tokenizer.from_file(os.environ["BENCH_TOKENIZER"])
session = open_session()


@app.post("/classify")
async def classify(body: ClassifyRequest) -> JSONResponse:
    input_ids = np.array([tokenizer.encode(body.inputs).ids], dtype=np.int64)
    lengths = np.array([input_ids.shape[1]], dtype=np.int64)
    (logits,) = session.run(None, {"input_ids": input_ids, "lengths": lengths})
    powers = np.exp(logits[0] - logits[0].max())
    scores = (powers / powers.sum()).tolist()
    found = sorted(zip(scores, LABELS, strict=True), reverse=True)
    return JSONResponse([[{"label": label, "score": score} for score, label in found]])


@app.get("/readyz")
async def ready() -> dict[str, str]:
    return {"status": "ready"}
