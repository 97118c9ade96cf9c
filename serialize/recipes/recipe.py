"""A recipe: an unfitted pipeline, the rows to fit it on, and declarations about their columns. Training a recipe writes
an artifact."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.base import clone

from serialize.artifact import Artifact, dump
from serialize.errors import DumpError, one_line
from serialize.evaluation import cross_validate
from serialize.task import Label


@dataclass(frozen=True, slots=True)
class Recipe:
    """`X` has n rows with named columns, `y` n targets; `declared` are further arguments of `dump`, `notes` sentences
    about the rows that the user should read."""

    name: str
    pipeline: Any
    X: pd.DataFrame
    y: "pd.Series[Any]"
    threshold: float | None = None
    positive_class: Label | None = None
    declared: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def train(recipe: Recipe, directory: str | Path, fold_done: Callable[[], None] = lambda: None) -> Artifact:
    """Cross-validate the recipe, fit it on all its rows and dump it. `fold_done` is called after each fold. Raises
    DumpError if the pipeline cannot be fitted or the result cannot be served."""
    cut = {"threshold": recipe.threshold, "positive_class": recipe.positive_class}
    try:
        metrics = cross_validate(recipe.pipeline, recipe.X, recipe.y, **cut, done=fold_done)  # type: ignore[arg-type]
        fitted = clone(recipe.pipeline).fit(recipe.X, recipe.y)
    except DumpError:
        raise
    except Exception as error:
        raise DumpError(
            f"{recipe.name} cannot be fitted ({one_line(error)}); correct or drop the column or target in this message."
        ) from error
    return dump(fitted, recipe.X, recipe.y, directory, name=recipe.name, metrics=metrics, **cut, **recipe.declared)  # type: ignore[arg-type]
