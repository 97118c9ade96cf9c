"""Golden rows show every null, every category and every extreme, and a model is held to its answers."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from serialize import ArtifactError, DumpError
from serialize.checks.golden_rows import GoldenRows, choose
from serialize.declarations import Declarations
from serialize.frame import as_table, observations
from serialize.infer_signature import infer_signature
from serialize.infer_task import infer_task
from serialize.model import Model
from serialize.transformers import datetime_numbers

RNG = np.random.default_rng(0)
ROWS = 60
FRAME = pd.DataFrame(
    {
        "port": pd.Series(np.array(["C", "Q", "S", None], dtype=object)[RNG.integers(0, 4, ROWS)], dtype="str"),
        "age": np.where(RNG.random(ROWS) < 0.2, np.nan, RNG.normal(40, 10, ROWS)),
        "class": RNG.integers(1, 4, ROWS),
        "alone": RNG.random(ROWS) < 0.5,
        "cabin": [f"deck {number}" * (1 + number % 3) for number in range(ROWS)],
    }
)
Y = RNG.integers(0, 2, ROWS)
NUMBERS = FRAME[["age", "class"]].fillna(40.0)


def model_of(pipeline: Any, X: Any, y: Any, **declared: Any) -> Model:
    """The model of a pipeline fitted on X and y, as dump makes it."""
    container, table = as_table(X)
    signature = infer_signature(container, table, None, Declarations.of(**declared))
    return Model(pipeline.fit(X, y), infer_task(pipeline), signature)


def passengers(**declared: Any) -> Model:
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["port"]),
        (SimpleImputer(), ["age", "class", "alone"]),
        (TfidfVectorizer(), "cabin"),
    )
    return model_of(make_pipeline(columns, LogisticRegression()), FRAME, Y, **declared)


def test_the_earliest_and_the_latest_datetime_are_among_the_golden_rows() -> None:
    X = pd.DataFrame({"when": pd.to_datetime([f"2024-05-{1 + number % 30:02}" for number in range(ROWS)])})
    X.loc[5, "when"] = pd.NaT
    steps = (FunctionTransformer(datetime_numbers), SimpleImputer(), StandardScaler(), LogisticRegression())

    golden = choose(model_of(make_pipeline(*steps), X, Y), X, observations(X))

    shown = {row["when"] for row in golden.observations}
    assert {"2024-05-01T00:00:00", "2024-05-30T00:00:00", None} <= shown


def test_every_null_category_and_extreme_is_among_the_golden_rows() -> None:
    golden = choose(passengers(), FRAME, observations(FRAME))

    shown = pd.DataFrame(list(golden.observations))
    assert set(shown["port"].dropna()) == {"C", "Q", "S"}
    assert shown["port"].isna().any()
    assert shown["age"].isna().any()
    assert set(shown["alone"]) == {False, True}
    for name in ("age", "class"):
        assert (shown[name].min(), shown[name].max()) == (FRAME[name].min(), FRAME[name].max())
    trained = [row for row in golden.observations if row in observations(FRAME)]
    assert all(any(row[name] is None for row in trained) for name in ("port", "age"))
    lengths = FRAME["cabin"].str.len()
    assert {lengths.min(), lengths.max()} <= set(shown["cabin"].str.len())


def test_all_nulls_at_once_and_what_is_only_declared_are_made_up() -> None:
    declared = {"categories": {"port": ["C", "Q", "S", "never"]}, "nullable": ["class"]}

    golden = choose(passengers(**declared), FRAME, observations(FRAME))

    assert any(row["class"] is None for row in golden.observations)
    assert any(row["port"] == "never" for row in golden.observations)
    assert any(row["port"] is row["age"] is row["class"] is None for row in golden.observations)


def test_a_declared_null_that_the_pipeline_cannot_answer_is_refused() -> None:
    model = model_of(LogisticRegression(), NUMBERS, Y, nullable=["age"])

    with pytest.raises(DumpError, match=r"cannot score an observation with age None.*do not declare them") as refused:
        choose(model, NUMBERS, observations(NUMBERS))
    assert "\n" not in str(refused.value)


def coded(X: Any) -> Any:
    """Wrong for unseen values: their codes depend on the other rows."""
    return X.apply(lambda column: column.cat.codes)


def test_unseen_values_are_tried_one_at_a_time_and_all_together() -> None:
    X = FRAME[["port"]].assign(deck=pd.Categorical(RNG.choice([1, 2], ROWS)))
    model = model_of(
        make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()), X, Y, accept_unseen=True
    )

    golden = choose(model, X, observations(X))

    unseen = [(row["port"] not in {"C", "Q", "S", None}, row["deck"] not in {1, 2}) for row in golden.observations]
    assert {(True, False), (False, True), (True, True)} <= set(unseen)


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (
            OneHotEncoder(),
            r"^The pipeline cannot score an observation with port 'unseen 0' \(ValueError: .*\); let it encode ",
        ),
        (
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan),
            r"\(ValueError: Input X contains NaN",
        ),
        (
            FunctionTransformer(coded),
            r"^The pipeline scores port 'unseen 1' differently beside other unseen values; let it",
        ),
    ],
)
def test_unseen_values_that_the_pipeline_cannot_answer_are_refused(step: Any, says: str) -> None:
    X = FRAME[["port"]].dropna().astype("category")
    model = model_of(make_pipeline(step, LogisticRegression()), X, Y[X.index], accept_unseen=["port"])

    with pytest.raises(DumpError, match=says) as refused:
        choose(model, X, observations(X))
    assert str(refused.value).endswith(", or leave these columns out of accept_unseen.")


def test_golden_rows_come_back_from_json_and_prove_the_model() -> None:
    model = passengers()
    golden = choose(model, FRAME, observations(FRAME))

    again = GoldenRows.from_json(json.loads(json.dumps(golden.to_json())))

    assert again == golden
    again.verify(model.outputs(again.observations))


@pytest.mark.parametrize("off", [1e-8, -1e-8, np.nan])
def test_another_answer_to_one_golden_row_is_refused(off: float) -> None:
    model = passengers()
    golden = choose(model, FRAME, observations(FRAME))
    answers = model.outputs(golden.observations)
    answers[3, 1] += off

    with pytest.raises(ArtifactError, match=r"1 of \d+ golden rows give other outputs.*row 3"):
        golden.verify(answers)


def test_answers_of_another_shape_are_refused() -> None:
    golden = GoldenRows(({"a": 1.0},), ((0.25, 0.75),), 1e-9)

    with pytest.raises(ArtifactError, match="give other outputs"):
        golden.verify(np.array([[0.25, 0.5, 0.25]]))


def test_a_large_predicted_value_is_held_to_a_relative_tolerance() -> None:
    golden = GoldenRows(({"a": 1.0},), ((1e6,),), 1e-9)

    golden.verify(np.array([[1e6 + 1e-4]]))
    with pytest.raises(ArtifactError):
        golden.verify(np.array([[1e6 + 1e-2]]))
