"""The service with rows that name the wrong model, as a control: each row names the model that served first."""

from typing import Any

from service.factory import create_app
from service.settings import Settings
from service.storage.predictions import PredictionLog

_init = PredictionLog.__init__
_first: list[str] = []


def _init_with_first(self: PredictionLog, session: Any, version: str, *arguments: Any, **options: Any) -> None:
    _first.append(version)
    _init(self, session, _first[0], *arguments, **options)


PredictionLog.__init__ = _init_with_first  # type: ignore[assignment, method-assign]
app = create_app(Settings.from_env())
