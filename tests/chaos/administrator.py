"""Resets the log, erases single predictions, and keeps what the service answered."""

import json
from collections import Counter
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import requests

from tests.chaos.audits.exported import Exported
from tests.chaos.sender import ObservationId
from tests.chaos.stage import ADMIN_KEY, Stage

_TIMEOUT_SECONDS = 30.0


class Administrator:
    """A client with the administrator's key. `exported` are the rows of acknowledged exports and erasures, `asked` the
    ids whose erasure was asked for, as JSON. `faults` are answers that must never occur."""

    def __init__(self, stage: Stage) -> None:
        self.exported = Exported()
        self.asked: set[str] = set()
        self.faults: Counter[str] = Counter()
        self.resets = self.erasures = self.unavailable = 0
        self._stage = stage
        self._files: set[str] = set()
        self._url = f"http://127.0.0.1:{stage.port}"
        self._session = requests.Session()
        self._session.headers["X-API-Key"] = ADMIN_KEY

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def reset(self) -> requests.Response:
        """Empties the log, and reads the export."""
        url = urlsplit(self._stage.database_url)
        body = {"database": url.path.rpartition("/")[2]}
        response = self._session.post(self._url + "/admin/reset", json=body, timeout=_TIMEOUT_SECONDS)
        if self._is_good(response):
            answer = response.json()
            lines = (self._stage.exports / answer["export"]).read_text().splitlines()
            self._files.add(answer["export"])
            self.resets += 1
            if self.exported.add(lines) != answer["rows"]:
                self.faults["an export with another number of rows than its answer"] += 1
        return response

    def erase(self, id_: ObservationId) -> None:
        """Erases one prediction. It may be gone already."""
        self.asked.add(json.dumps(id_))
        given = {"observation_id": json.dumps(id_)}
        response = self._session.delete(self._url + "/predictions", params=given, timeout=_TIMEOUT_SECONDS)
        if response.status_code != 404 and self._is_good(response):
            self.exported.add([response.text])
            self.erasures += 1

    def other_files(self) -> int:
        """The number of files in the folder of exports, half or whole, that no answer named."""
        folder = self._stage.exports
        return len({path.name for path in folder.iterdir()} - self._files) if folder.exists() else 0

    def _is_good(self, response: requests.Response) -> bool:
        if response.status_code == 200:
            return True
        is_problem = response.headers["Content-Type"] == "application/problem+json"
        if response.status_code == 503 and response.headers.get("Retry-After") and is_problem:
            self.unavailable += 1
        else:
            self.faults[f"status {response.status_code} to the administrator"] += 1
        return False
