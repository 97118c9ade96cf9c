"""The REST resources of the registry and of learning: the models, who becomes the champion, and the jobs that train
models."""

import re
from collections.abc import Sequence
from typing import Any

from flask import request
from flask_restful import Resource

from service.errors import UnknownJob
from service.learning.jobs import Jobs
from service.registry.catalog import Catalog
from service.web.admin_payload import promotion, retraining, rollback_reason
from service.web.auth import fingerprint
from service.web.json_body import JsonBody
from service.web.query import list_limit


class Models(Resource):  # type: ignore[misc]
    """The models of the registry, the champion, and the newest promotions."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def get(self) -> dict[str, Any]:
        return self._catalog.listed(list_limit(request.args.to_dict(flat=False)))


class OneModel(Resource):  # type: ignore[misc]
    """A model of the registry."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def get(self, version: str) -> dict[str, Any]:
        return self._catalog.described(version)


class Promote(Resource):  # type: ignore[misc]
    """Makes a model the champion."""

    def __init__(self, catalog: Catalog, body: JsonBody) -> None:
        self._catalog, self._body = catalog, body

    def post(self, version: str) -> dict[str, Any]:
        reason, force = promotion(self._body.of_optional(request, {}))
        return self._catalog.promote(version, _author(), reason, force=force)


class Rollback(Resource):  # type: ignore[misc]
    """Makes the model before the champion the champion again."""

    def __init__(self, catalog: Catalog, body: JsonBody) -> None:
        self._catalog, self._body = catalog, body

    def post(self) -> dict[str, Any]:
        return self._catalog.rollback(_author(), rollback_reason(self._body.of_optional(request, {})))


class Retrain(Resource):  # type: ignore[misc]
    """Queues a job that trains the model again."""

    def __init__(self, jobs: Jobs, body: JsonBody, columns: Sequence[str]) -> None:
        self._jobs, self._body, self._columns = jobs, body, columns

    def post(self) -> tuple[dict[str, Any], int, dict[str, str]]:
        job = self._jobs.retrain(retraining(self._body.of_optional(request, {}), self._columns), _author())
        return job, 202, {"Location": f"/admin/jobs/{job['id']}"}


class ListedJobs(Resource):  # type: ignore[misc]
    """The newest jobs."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def get(self) -> dict[str, Any]:
        return self._jobs.listed(list_limit(request.args.to_dict(flat=False)))


class OneJob(Resource):  # type: ignore[misc]
    """A job: what it does now, and its result."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def get(self, job: str) -> dict[str, Any]:
        return self._jobs.described(_job(job))

    def delete(self, job: str) -> dict[str, Any]:
        return self._jobs.cancel(_job(job), _author())


def _job(text: str) -> int:
    """The id of a job. Raises UnknownJob for a text that is none."""
    if not re.fullmatch("[0-9]{1,19}", text):
        raise UnknownJob(f"There is no job {text}; GET /admin/jobs lists them.")
    return int(text)


def _author() -> str:
    return f"http:{fingerprint(request.environ)}"
