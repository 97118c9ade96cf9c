"""One observation scored as a notebook does it: as a pandas row with the training frame's columns and dtypes. What
every compared server without a form of its own does."""

from collections.abc import Sequence
from typing import Any

import pandas as pd


def proba_of(pipeline: Any, rows: pd.DataFrame, observation: dict[str, Any]) -> float:
    """The probability of the positive class; `rows` gives the columns and their dtypes."""
    return probas_of(pipeline, rows, [observation])[0]


def probas_of(pipeline: Any, rows: pd.DataFrame, observations: Sequence[dict[str, Any]]) -> list[float]:
    """The same for n observations at once, for servers that batch."""
    frame = pd.DataFrame(observations, columns=rows.columns).astype(rows.dtypes.to_dict())
    probas: list[float] = pipeline.predict_proba(frame)[:, 1].tolist()
    return probas
