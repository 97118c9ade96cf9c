"""Large arrays are answered by the form that is faster for them; all forms that answer are verified."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serialize import Artifact, ArtifactError, load
from serialize.model import Model
from service.prediction.artifact_scorer import scorer_of, verify
from tests.support.by_column import by_column
from tests.support.passengers import ARTIFACTS, all_passengers

ROWS = list(all_passengers())
FEW, MANY = by_column(ROWS[:499]), by_column(ROWS[:500])


@pytest.fixture
def artifact() -> Artifact:
    """The shipped model, as if its pipeline were faster for arrays."""
    shipped = load(ARTIFACTS)
    return replace(shipped, manifest=replace(shipped.manifest, scoring={"arrays": "pipeline"}))


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of rows that the pipeline is called with."""
    numbers, outputs = [], Model.outputs_of

    def counted(self: Model, X: Any) -> Any:
        numbers.append(len(X))
        return outputs(self, X)

    monkeypatch.setattr(Model, "outputs_of", counted)
    return numbers


def test_five_hundred_rows_are_answered_by_the_pipeline(artifact: Artifact, called: list[int]) -> None:
    scorer = scorer_of(artifact, compiled=True)

    few, many = scorer.score_columns(FEW), scorer.score_columns(MANY)

    assert called == [500]
    assert np.allclose(few.numbers, many.numbers[:499], rtol=0, atol=1e-9)
    assert few.class_indices is not None
    assert many.class_indices is not None
    assert few.class_indices == many.class_indices[:499]


def test_all_rows_are_answered_by_the_compiled_form_if_that_is_faster(called: list[int]) -> None:
    scorer_of(load(ARTIFACTS), compiled=True).score_columns(MANY)

    assert called == []


def test_a_pipeline_that_answers_large_arrays_is_verified(artifact: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    verify(artifact, compiled=True)
    monkeypatch.setattr(Model, "outputs_of", lambda self, X: np.full((len(X), 2), 0.5))
    verify(load(ARTIFACTS), compiled=True)

    with pytest.raises(ArtifactError):
        verify(artifact, compiled=True)
