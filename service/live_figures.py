"""The live figures of the model for GET /metrics. They are never computed where somebody waits: who asks gets those
that are there, and has newer ones computed for the next who asks, wherever that is."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from service import measures
from service.errors import ServiceError
from service.logs import event
from service.measures import Reading

_LEAST_AGE_SECONDS = 1.0
# So many times as long as it took to compute them they stay.
_REST = 20

_BOUNDS = {
    "value": measures.FIGURE,
    "low": measures.FIGURE_LOW,
    "high": measures.FIGURE_HIGH,
    "training": measures.FIGURE_TRAINING,
}
_TOTALS = {"count": measures.LOGGED, "labelled": measures.LABELLED, "coverage": measures.LABELLED_SHARE}

_log = logging.getLogger("service")


class LiveFigures:
    """The figures that the workers of a service share in a file of `folder`. `report` computes them, as GET
    /performance answers them for one version of the model; `later` carries a job out when the caller has gone on."""

    def __init__(
        self,
        model_version: str,
        report: Callable[[], dict[str, Any]],
        folder: Callable[[], Path],
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._labels = {"model_version": model_version}
        self._report = report
        self._folder = folder
        self._later = later
        self._is_computing = False

    def readings(self) -> Iterator[Reading]:
        """The figures that are there; those that the log does not define are left out."""
        kept = self._kept()
        if kept is None:
            return
        report = kept["report"]
        yield Reading(measures.FIGURES_AT, self._labels, kept["at"])
        for name, measure in _TOTALS.items():
            if report[name] is not None:
                yield Reading(measure, self._labels, report[name])
        for name, figure in report["metrics"].items():
            for bound, measure in _BOUNDS.items():
                if figure[bound] is not None:
                    yield Reading(measure, {**self._labels, "metric": name}, figure[bound])

    def refresh(self) -> None:
        """Has them computed again, unless they are young or that is being done."""
        kept = self._kept()
        age = time.time() - kept["at"] if kept is not None else float("inf")
        least = max(_LEAST_AGE_SECONDS, _REST * kept["took"]) if kept is not None else 0.0
        if not self._is_computing and not 0 <= age < least:
            self._is_computing = True
            self._later(self._compute)

    def _compute(self) -> None:
        began = time.monotonic()
        try:
            self._keep({"report": self._report(), "took": time.monotonic() - began, "at": time.time()})
        except ServiceError as error:
            event(_log, logging.WARNING, "no-figures", reason=error.reason)
        except OSError as error:
            event(_log, logging.WARNING, "no-figures", reason=type(error).__name__)
        finally:
            self._is_computing = False

    def _kept(self) -> Any:
        try:
            return json.loads(self._path().read_text())
        except FileNotFoundError:
            return None

    def _keep(self, figures: dict[str, Any]) -> None:
        fresh = self._path().with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(figures))
        fresh.replace(self._path())

    def _path(self) -> Path:
        return self._folder() / "figures.json"
