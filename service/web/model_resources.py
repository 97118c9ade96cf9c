"""The REST resources of the registry: the models, and who becomes the champion."""

from typing import Any

from flask import request
from flask_restful import Resource

from service.registry.catalog import Catalog
from service.web.admin_payload import promotion, rollback_reason
from service.web.auth import fingerprint
from service.web.json_body import JsonBody
from service.web.query import models_limit


class Models(Resource):  # type: ignore[misc]
    """The models of the registry, the champion, and the newest promotions."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def get(self) -> dict[str, Any]:
        return self._catalog.listed(models_limit(request.args.to_dict(flat=False)))


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


def _author() -> str:
    return f"http:{fingerprint(request.environ)}"
