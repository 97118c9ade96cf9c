"""Arrays by FastAPI, each stored before it is answered: one pandas frame, one predict_proba call, one executemany and
one commit an array. MODEL names the pickled pipeline and DATABASE_URL the SQLite file, which has its table and is in
WAL mode; a commit flushes the disk, as the service's does.

Of the ways that were tried the fastest is used: the parsed JSON without a pydantic model, a JSONResponse without a
response model, and a connection that commits in a thread of the pool while the event loop scores the next array."""

import json
import os
import sqlite3
import threading

import joblib
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from benchmarks.apps.row import probas_of
from benchmarks.passengers import training_rows

pipeline = joblib.load(os.environ["MODEL"])
rows = training_rows()
database = sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("sqlite:///"), timeout=30, check_same_thread=False)
database.execute("PRAGMA synchronous = FULL")
one_at_a_time = threading.Lock()
app = FastAPI()


@app.post("/predict")  # type: ignore[untyped-decorator]
async def predict(request: Request) -> JSONResponse:
    """Scores in the event loop: a plain function, which runs in a thread of the pool, is slower here."""
    items = await request.json()
    probas = probas_of(pipeline, rows, [item["observation"] for item in items])
    scored = list(zip(items, probas, strict=True))
    try:
        await run_in_threadpool(store, [(item["id"], json.dumps(item["observation"]), proba) for item, proba in scored])
    except sqlite3.IntegrityError:
        raise HTTPException(409, "an id exists already") from None
    return JSONResponse([{"observation_id": item["id"], "proba": proba} for item, proba in scored])


def store(predictions: list[tuple[int, str, float]]) -> None:
    """Commits all or none of the predictions. Raises IntegrityError."""
    with one_at_a_time, database:
        database.executemany("INSERT INTO prediction (id, observation, proba) VALUES (?, ?, ?)", predictions)
