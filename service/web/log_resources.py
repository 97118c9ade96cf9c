"""The REST resource of the log itself."""

import json

from flask import Response, request
from flask_restful import Resource
from werkzeug.datastructures import MIMEAccept

from service.web.access_log import Note
from service.web.pages import LogPages

NDJSON = "application/x-ndjson"


class Predictions(Resource):  # type: ignore[misc]
    """What was answered: in pages, as a stream, and no more."""

    def __init__(self, pages: LogPages) -> None:
        self._pages = pages

    def get(self) -> Response:
        arguments = request.args.to_dict(flat=False)
        if _takes_lines(request.accept_mimetypes):
            return Response(self._pages.stream(arguments), content_type=NDJSON)
        page = self._pages.page(arguments)
        links = {"Link": f'<{page.next}>; rel="next"'} if page.next else {}
        return Response(page.body, 200, links, content_type="application/json")

    def delete(self) -> Response:
        key, erased = self._pages.erase(request.args.to_dict(flat=False))
        Note.of(request.environ).observation_ids = (json.loads(key),)
        return Response(erased + "\n", content_type="application/json")


def _takes_lines(accepted: MIMEAccept) -> bool:
    """Whether lines are asked for by their name, and are no less welcome than a page."""
    named = [quality for media, quality in accepted if media.partition(";")[0].strip().lower() == NDJSON]
    return 0 < max(named, default=0) >= accepted.quality("application/json")
