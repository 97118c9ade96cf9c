"""Training data of polars and of other libraries keep their names and types, and the served pipeline gives the outputs
that it gives for them."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pandas.testing import assert_frame_equal
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from serialize import DumpError, dump
from serialize.formats.dataframes import as_pandas
from serialize.frame import as_table, observations
from serialize.quality.cross_validation import cross_validate
from serialize.transformers import datetime_numbers

ROWS = 60


def frame() -> pl.DataFrame:
    """60 rows with columns of the usual types; some have nulls."""
    return pl.DataFrame(
        {
            "age": [None if i % 7 == 0 else i for i in range(ROWS)],
            "fare": [i / 4 for i in range(ROWS)],
            "port": ["S" if i % 3 else "C" for i in range(ROWS)],
            "seen": [datetime(2024, 1, 1 + i % 28, tzinfo=UTC) for i in range(ROWS)],
        },
        schema_overrides={"seen": pl.Datetime("us", "Europe/Berlin")},
    )


def labels() -> list[str]:
    return ["yes" if i % 2 or i > 40 else "no" for i in range(ROWS)]


def fitted(X: Any, y: Any) -> Any:
    steps = make_column_transformer(
        (SimpleImputer(), ["age", "fare"]),
        (OneHotEncoder(handle_unknown="ignore"), ["port"]),
        (FunctionTransformer(_pandas_numbers), ["seen"]),
    )
    return make_pipeline(steps, StandardScaler(), LogisticRegression()).fit(X, y)


def _pandas_numbers(columns: Any) -> Any:
    return datetime_numbers(as_pandas(columns))


class Exported:
    """A frame of another library, which offers only `to_pandas`."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def to_pandas(self) -> Any:
        return self.data


class Capsule:
    """A frame that offers only the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        raise AssertionError("read only through pyarrow")


@pytest.mark.parametrize(
    ("column", "dtype", "values"),
    [
        (pl.Series([1, 2], dtype=pl.Int16), "int16", [1, 2]),
        (pl.Series([2**62 + 1, None]), "Int64", [2**62 + 1, None]),
        (pl.Series([1, None], dtype=pl.UInt8), "UInt8", [1, None]),
        (pl.Series([1, None], dtype=pl.Int128), "object", [1, None]),
        (pl.Series([1.5, None]), "float64", [1.5, None]),
        (pl.Series([1.5], dtype=pl.Float32), "float32", [1.5]),
        (pl.Series([True, False]), "bool", [True, False]),
        (pl.Series([True, None]), "boolean", [True, None]),
        (pl.Series(["a", None]), "object", ["a", None]),
        (pl.Series(["b", "a", None], dtype=pl.Categorical), "category", ["b", "a", None]),
        (pl.Series(["b", "a"], dtype=pl.Enum(["b", "a", "c"])), "category", ["b", "a"]),
        (pl.Series([date(2024, 5, 1), None]), "object", ["2024-05-01", None]),
        (
            pl.Series([datetime(2024, 5, 1), None], dtype=pl.Datetime("ms")),
            "datetime64[ms]",
            ["2024-05-01T00:00:00", None],
        ),
        (
            pl.Series([datetime(2024, 5, 1, tzinfo=UTC)], dtype=pl.Datetime("ns", "Europe/Berlin")),
            "datetime64[ns, Europe/Berlin]",
            ["2024-05-01T02:00:00+02:00"],
        ),
        (pl.Series([None, None]), "object", [None, None]),
    ],
)
def test_a_polars_column_keeps_its_name_type_and_values(column: Any, dtype: str, values: list[Any]) -> None:
    container, table = as_table(column.alias("c").to_frame())

    assert (container, list(table.columns), str(table["c"].dtype)) == ("frame", ["c"], dtype)
    assert observations(table) == [{"c": value} for value in values]


def test_an_enum_keeps_the_order_of_its_levels() -> None:
    column = pl.DataFrame({"c": pl.Series(["b"], dtype=pl.Enum(["b", "c", "a"]))})

    assert as_table(column)[1]["c"].cat.categories.tolist() == ["b", "c", "a"]


@pytest.mark.parametrize(
    "column", [pl.Series([[1]]), pl.Series([{"a": 1}]), pl.Series([b"a"]), pl.Series([datetime(2024, 1, 1).time()])]
)
def test_a_polars_column_that_json_cannot_carry_is_refused_by_its_name(column: Any, tmp_path: Path) -> None:
    X = frame().with_columns(column.new_from_index(0, ROWS).alias("odd"))

    with pytest.raises(DumpError, match="Column 'odd' holds values of type"):
        dump(fitted(X, labels()), X, labels(), tmp_path / "a")


@pytest.mark.long
def test_a_pipeline_of_a_polars_frame_is_served_with_its_names_and_outputs(tmp_path: Path) -> None:
    X, y = frame(), pl.Series("target", labels())
    pipeline = fitted(X, y)

    artifact = dump(pipeline, X, y, tmp_path / "a", metrics=cross_validate(pipeline, X, y))

    assert artifact.manifest.signature.names == ("age", "fare", "port", "seen")
    assert [column.kind for column in artifact.manifest.signature] == ["integer", "number", "category", "datetime"]
    rows = observations(as_table(X)[1])
    np.testing.assert_allclose(artifact.model.outputs(rows), pipeline.predict_proba(X), atol=1e-12)


@pytest.mark.long
def test_boosting_on_a_categorical_column_of_polars_is_served(tmp_path: Path) -> None:
    X = frame().select(pl.col("port").cast(pl.Categorical), "fare")

    artifact = dump(HistGradientBoostingClassifier(max_iter=5).fit(X, labels()), X, pl.Series(labels()), tmp_path / "a")

    assert artifact.manifest.signature.columns[0].categories == ("C", "S")


def test_a_polars_series_of_texts_is_a_series(tmp_path: Path) -> None:
    X = pl.Series("words", [f"a{i} b" for i in range(ROWS)])
    pipeline = make_pipeline(CountVectorizer(), LogisticRegression()).fit(X, labels())

    assert dump(pipeline, X, labels(), tmp_path / "a").manifest.signature.names == ("words",)


def test_any_object_with_to_pandas_is_converted() -> None:
    X = pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "y"]})

    container, table = as_table(Exported(X))

    assert container == "frame"
    assert_frame_equal(table, X)
    assert as_table(Exported(X["b"]))[0] == "series"


def test_targets_with_to_pandas_are_taken(tmp_path: Path) -> None:
    X = pd.DataFrame({"a": np.arange(ROWS)})
    y = pd.Series(labels())

    assert dump(LogisticRegression().fit(X, y), X, Exported(y), tmp_path / "a").manifest.task.classes == ("no", "yes")


def test_an_arrow_stream_without_pyarrow_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)

    with pytest.raises(DumpError, match="Capsule, which needs pyarrow; install it, or pass a pandas DataFrame"):
        as_table(Capsule())


def test_a_lazy_frame_is_refused_with_what_to_do() -> None:
    with pytest.raises(DumpError, match="LazyFrame; call its collect"):
        as_table(frame().lazy())


class OnlyPolars(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A step that calls a method which pandas has not."""

    def fit(self, X: Any, y: Any = None) -> "OnlyPolars":
        self.fitted_ = True
        return self

    def transform(self, X: Any) -> Any:
        return X.with_columns(pl.col("fare") * 2).select("fare").to_numpy()


def test_a_pipeline_that_works_only_on_polars_is_refused_with_what_to_do(tmp_path: Path) -> None:
    X = frame()
    pipeline = make_pipeline(OnlyPolars(), LogisticRegression()).fit(X, labels())

    with pytest.raises(
        DumpError, match=r"works only with its polars form .*convert the training data to pandas and fit"
    ):
        dump(pipeline, X, labels(), tmp_path / "a")
