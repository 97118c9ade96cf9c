"""A recipe: an unfitted pipeline, the rows to fit it on, and declarations about their columns. Training a recipe writes
an artifact."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.base import clone

from serialize.artifact import Artifact
from serialize.display.progress import Progress
from serialize.dumping import dump
from serialize.errors import DumpError, one_line
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


def train(recipe: Recipe, directory: str | Path, *, include_training_data: bool = True) -> Artifact:
    """Fit the recipe on all its rows and dump it, cross-validated; the artifact keeps the rows if
    `include_training_data`. Raises DumpError if the pipeline cannot be fitted or the result cannot be served."""
    try:
        with Progress() as progress:
            progress.stage(f"Fitting {recipe.name}")
            fitted = clone(recipe.pipeline).fit(recipe.X, recipe.y)
    except Exception as error:
        raise DumpError(
            f"{recipe.name} cannot be fitted ({one_line(error)}); correct or drop the column or target in this message."
        ) from error
    options = {"threshold": recipe.threshold, "positive_class": recipe.positive_class, **recipe.declared}
    return dump(
        fitted,
        recipe.X,
        recipe.y,
        directory,
        name=recipe.name,
        include_training_data=include_training_data,
        **options,
    )
