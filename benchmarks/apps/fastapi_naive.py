"""The naive service with FastAPI and uvicorn instead, storing nothing. MODEL names the pickled pipeline."""

import os
from typing import Any

import joblib
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.apps.row import proba_of
from benchmarks.passengers import training_rows

pipeline = joblib.load(os.environ["MODEL"])
rows = training_rows()
app = FastAPI()


class Body(BaseModel):
    """What is posted."""

    id: int
    observation: dict[str, Any]


@app.post("/predict")  # type: ignore[untyped-decorator]
async def predict(body: Body) -> dict[str, Any]:
    """Scores in the event loop: a plain function, which runs in a thread of a pool, is slower here."""
    return {"observation_id": body.id, "proba": proba_of(pipeline, rows, body.observation)}
