"""Arrays by FastAPI, storing nothing: one pandas frame and one predict_proba call an array. MODEL names the pickled
pipeline.

Of the ways that were tried the fastest is used: the parsed JSON without a pydantic model, and a JSONResponse without a
response model."""

import os

import joblib
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from benchmarks.apps.row import probas_of
from benchmarks.passengers import training_rows

pipeline = joblib.load(os.environ["MODEL"])
rows = training_rows()
app = FastAPI()


@app.post("/predict")  # type: ignore[untyped-decorator]
async def predict(request: Request) -> JSONResponse:
    """Scores in the event loop: a plain function, which runs in a thread of a pool, is slower here."""
    items = await request.json()
    probas = probas_of(pipeline, rows, [item["observation"] for item in items])
    return JSONResponse(
        [{"observation_id": item["id"], "proba": proba} for item, proba in zip(items, probas, strict=True)]
    )
