"""The outputs for observations by column are those for the same observations as rows, and so are the errors."""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from serialize import load
from serialize.compiler.runtime.compiled_model import CompiledModel
from serialize.model import Model
from tests.serialize.compiler.support import Rows, compiled, model_of, numbers, passengers, survived
from tests.support.by_column import by_column
from tests.support.passengers import ARTIFACTS, all_passengers


@cache
def shipped() -> tuple[Model, CompiledModel, Rows]:
    """The model that ships in both forms, and all passengers."""
    artifact = load(ARTIFACTS)
    assert artifact.compiled is not None
    return artifact.model, artifact.compiled, all_passengers()


@cache
def refusing() -> tuple[Model, CompiledModel, Rows]:
    """A model in both forms that refuses an unseen port, and a null there; names are texts."""
    X = passengers()[["Embarked", "Age", "Sex"]].dropna(subset="Embarked")
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="error"), ["Embarked"]), (numbers(), ["Age"]), (TfidfVectorizer(), "Sex")
    )
    pipeline = make_pipeline(columns, LogisticRegression()).fit(X, survived()[X.index])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, rows = model_of(pipeline, X, text=["Embarked"], nullable=["Embarked"])
        return model, compiled(model, rows), rows


def outcome(outputs: Callable[[Any], Any], observations: Any) -> Any:
    """The bytes of the outputs, or the type and the text of the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return outputs(observations).tobytes()
        except (ValueError, TypeError) as error:
            return type(error), str(error)


@pytest.mark.parametrize("form", [0, 1], ids=["pipeline", "compiled"])
@given(data=st.data())
def test_outputs_by_column_are_those_by_row_with_nulls_anywhere(form: int, data: st.DataObject) -> None:
    model, _, rows = shipped()
    nullable = [column.name for column in model.signature if column.nullable]
    changed = [
        {**row, **dict.fromkeys(data.draw(st.sets(st.sampled_from(nullable))))}
        for row in data.draw(st.lists(st.sampled_from(rows), min_size=1, max_size=20))
    ]

    form_of: Any = shipped()[form]

    assert (form_of.outputs_by_column(by_column(changed)) == form_of.outputs(changed)).all()


def test_a_long_array_has_the_outputs_of_its_rows() -> None:
    _, fast, rows = shipped()

    many = fast.outputs_by_column(by_column(rows))

    assert len(rows) > 1000
    np.testing.assert_array_equal(many, np.vstack([fast.outputs(rows[:700]), fast.outputs(rows[700:])]))


@pytest.mark.parametrize("form", [0, 1], ids=["pipeline", "compiled"])
@given(ports=st.lists(st.sampled_from(["S", "C", "Q", "never seen", None]), min_size=1, max_size=4))
def test_the_errors_by_column_are_those_by_row(form: int, ports: list[str | None]) -> None:
    form_of: Any = refusing()[form]
    rows = [{"Embarked": port, "Age": 30.0, "Sex": "male"} for port in ports]

    by_rows = outcome(form_of.outputs, rows)

    assert outcome(form_of.outputs_by_column, by_column(rows)) == by_rows
    assert isinstance(by_rows, bytes) == ({"S", "C", "Q"} >= set(ports))


@pytest.mark.parametrize("form", [0, 1], ids=["pipeline", "compiled"])
def test_a_missing_column_is_a_key_error(form: int) -> None:
    form_of: Any = shipped()[form]
    columns = by_column(shipped()[2][:3])
    del columns["Sex"]

    with pytest.raises(KeyError, match="Sex"):
        form_of.outputs_by_column(columns)
