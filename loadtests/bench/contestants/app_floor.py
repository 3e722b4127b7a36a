"""A peer of the benchmark: FastAPI with a constant answer, the floor of what HTTP costs.

Run by uvicorn with one worker, uvloop and httptools.
"""

from fastapi import FastAPI, Response

ANSWER = b'[[{"label":"positive","score":0.9},{"label":"negative","score":0.1}]]'

app = FastAPI()


@app.post("/classify")
async def classify() -> Response:
    return Response(ANSWER, media_type="application/json")


@app.get("/readyz")
async def ready() -> dict[str, str]:
    return {"status": "ready"}
