"""Who answers arrays: the service with a model of each task and on each database, and two FastAPI applications."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender, Model, service, sqlite_url, uvicorn
from benchmarks.passengers import all_passengers, prediction
from serialize.frame import observations
from serialize.recipes import RECIPES
from serialize.recipes.recipe import train

OURS = "service-sqlite"

_STEP = 7  # rows by which each array begins later than the one before


@dataclass(frozen=True, slots=True)
class ArrayContender:
    """A server and the observations of its arrays. Every array begins with the server's own observation, whose answer
    has the server's expected number in the member `member`."""

    server: Contender
    observations: Sequence[dict[str, Any]]
    member: str = "proba"

    def write_arrays(self, path: Path, items: int, arrays: int) -> None:
        """Writes templates of so many different arrays of `items` each, one a line, for the load generator."""
        lines = (self._array(items, number * _STEP) for number in range(arrays))
        path.write_text("".join(f"{line}\n" for line in lines))

    def _array(self, items: int, start: int) -> str:
        others = islice(cycle(self.observations), start, start + items - 1)
        return f"[{', '.join(map(prediction, (self.server.observation, *others)))}]"


def on_sqlite(**variables: str) -> ArrayContender:
    """This service with the Titanic model, on SQLite."""
    return _of_passengers(service(Model(), sqlite_url, OURS, variables=variables))


def on_postgresql(database_url: Callable[[Path], str]) -> ArrayContender:
    """The same on PostgreSQL."""
    return _of_passengers(service(Model(), database_url, "service-postgresql"))


def with_recipe(recipe: str, name: str, folder: Path) -> ArrayContender:
    """This service on SQLite with the multiclass or regression model of a built-in recipe, which is trained into the
    folder."""
    built = RECIPES[recipe]()
    artifact = train(built, folder)
    rows = observations(built.X)
    # The probability of the predicted class is the highest. The one output of a regression is the predicted value.
    model = Model(folder, float(artifact.model.outputs(rows[:1]).max()))
    member = "predicted_value" if artifact.manifest.task.kind == "regression" else "proba"
    return _arrays(replace(service(model, sqlite_url, name), observation=rows[0]), rows, member)


def fastapi(python: str) -> ArrayContender:
    """FastAPI, storing nothing."""
    return _fastapi("fastapi", "fastapi_arrays", python, lambda _: {})


def fastapi_stored(python: str) -> ArrayContender:
    """FastAPI, storing each array in SQLite before it answers."""
    return _fastapi(
        "fastapi-stored", "fastapi_arrays_stored", python, lambda folder: {"DATABASE_URL": _new_log(folder)}
    )


def _fastapi(name: str, app: str, python: str, variables: Callable[[Path], Mapping[str, str]]) -> ArrayContender:
    model = Model()
    return _of_passengers(
        Contender(
            name,
            uvicorn(python, f"benchmarks.apps.{app}:app"),
            lambda folder: {"MODEL": model.pipeline, **variables(folder)},
            expected=model.expected,
            python=python,
        )
    )


def _new_log(folder: Path) -> str:
    """The URL of a new SQLite file in WAL mode. Two workers that both switch to it can fail."""
    url = sqlite_url(folder)
    database = sqlite3.connect(url.removeprefix("sqlite:///"))
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE prediction (id INTEGER PRIMARY KEY, observation TEXT NOT NULL, proba REAL NOT NULL)")
    database.close()
    return url


def _of_passengers(server: Contender) -> ArrayContender:
    return _arrays(server, all_passengers(), "proba")


def _arrays(server: Contender, rows: Sequence[dict[str, Any]], member: str) -> ArrayContender:
    alone = replace(
        server,
        template=lambda observation: f"[{prediction(observation)}]",
        proba=lambda answer: float(answer[0][member]),
    )
    return ArrayContender(alone, rows, member)
