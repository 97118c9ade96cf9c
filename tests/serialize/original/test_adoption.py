"""An adopted model answers what the original app answered, for every dtype, null and unseen category."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from serialize import DumpError
from serialize.frame import observations
from serialize.original.adoption import Adopted, adopt, rows_made_up, rows_of_file, unpickle
from serialize.original.files import read_files
from serialize.recipes.csv_file import CsvFile
from tests.conftest import MakeClient
from tests.support.original_model import original_probas, telling, write_original
from tests.support.passengers import PASSENGER, PROJECT, all_passengers

pytestmark = pytest.mark.usefixtures("in_this_process")

ROWS = 240
RNG = np.random.default_rng(0)
NOTHING: dict[str, Any] = {"bounds": {}, "categories": (), "text": (), "nullable": (), "accept_unseen": ()}
TITANIC = PROJECT / "data" / "titanic.csv"


def column(values: Any, dtype: Any, null: bool = True) -> "pd.Series[Any]":
    """The values with the dtype, a fifth of them null."""
    gone = RNG.random(ROWS) < 0.2
    kept = [None if null and lost else value for value, lost in zip(values, gone, strict=True)]
    return pd.Series(kept, dtype=object).astype(dtype)


def every_dtype() -> pd.DataFrame:
    whole, words = RNG.integers(0, 100, ROWS).tolist(), RNG.choice(["a", "b", "c"], ROWS).tolist()
    numbers, flags = RNG.normal(size=ROWS).tolist(), (RNG.random(ROWS) < 0.5).tolist()
    moments = pd.Timestamp("2024-05-31") + pd.to_timedelta(RNG.integers(0, 10**6, ROWS), unit="s")
    return pd.DataFrame(
        {
            "int64": column(whole, "int64", null=False),
            "int8": column(whole, "int8", null=False),
            "uint16": column(whole, "uint16", null=False),
            "bool": column(flags, "bool", null=False),
            "filled": column(words, "object", null=False),
            "float64": column(numbers, "float64"),
            "float32": column(numbers, "float32"),
            "object": column(words, "object"),
            "string": column(words, "string"),
            "str": column(words, "str"),
            "category": column(words, pd.CategoricalDtype(["c", "b", "a", "never"])),
            "ordered": column(words, pd.CategoricalDtype(["c", "b", "a"], ordered=True)),
            "numbered": column([each % 3 for each in whole], pd.CategoricalDtype([0, 1, 2])),
            "Int64": column(whole, "Int64"),
            "Float64": column(numbers, "Float64"),
            "boolean": column(flags, "boolean"),
            "moment": column(moments, "datetime64[ns]"),
            "second": column(moments, "datetime64[s]"),
            "zoned": column(moments.tz_localize("Europe/Berlin"), "datetime64[ns, Europe/Berlin]"),
        }
    )


def as_csv(X: pd.DataFrame, folder: Path) -> CsvFile:
    path = folder / "rows.csv"
    X.to_csv(path, index=False)
    return CsvFile(path)


def adopted(folder: Path, output: Path, file: CsvFile | None, target: str | None = None, **declared: Any) -> Adopted:
    original = unpickle(read_files(folder))
    if file is None:
        return adopt(original, rows_made_up(original), output, name="adopted")
    return adopt(original, rows_of_file(original, file, (), target, {**NOTHING, **declared}), output, name="adopted")


def served(client: Any, rows: list[Any]) -> list[float]:
    """The probabilities that POST /predict answers."""
    body = [{"id": number, "observation": row} for number, row in enumerate(rows)]
    answer = client.post("/predict", json=body)
    assert answer.status_code == 200, answer.json
    return [each["proba"] for each in answer.json]


@pytest.fixture(scope="module")
def passengers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the original app for the Titanic."""
    data = pd.read_csv(TITANIC)
    X = data.drop(columns="Survived")
    for name in X.columns[[not pd.api.types.is_numeric_dtype(dtype) for dtype in X.dtypes]]:
        X[name] = X[name].astype(object)  # the dtype of strings in the pandas of that time
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["Sex", "Cabin", "Embarked"]),
        (SimpleImputer(), ["Age", "Fare", "SibSp", "Parch", "Pclass"]),
    )
    pipeline = make_pipeline(columns, LogisticRegression(max_iter=2000)).fit(X, data["Survived"])
    return write_original(tmp_path_factory.mktemp("original"), pipeline, X)


@pytest.mark.long
def test_the_service_answers_every_dtype_and_null_as_the_original_did(tmp_path: Path, make_client: MakeClient) -> None:
    X = every_dtype()
    folder = write_original(tmp_path / "original", telling(X), X)

    found = adopted(folder, tmp_path / "artifact", as_csv(X, tmp_path))

    rows = json.loads(json.dumps(observations(X)))
    probas = served(make_client(artifacts=str(tmp_path / "artifact")), rows)
    assert probas == pytest.approx(original_probas(folder, rows), rel=0, abs=1e-12)
    assert found.compared > 200


@pytest.mark.long
def test_the_curl_of_the_readme_gets_the_probability_of_the_pickle(
    passengers: Path, tmp_path: Path, make_client: MakeClient
) -> None:
    found = adopted(passengers, tmp_path / "artifact", CsvFile(TITANIC), "Survived")

    client = make_client(artifacts=str(tmp_path / "artifact"))
    rows = [PASSENGER, *all_passengers()[::6]]
    expected = original_probas(passengers, rows)
    assert served(client, rows) == pytest.approx(expected, rel=0, abs=1e-12)
    assert client.post("/predict", json={"id": 0, "observation": PASSENGER}).json["proba"] == pytest.approx(expected[0])
    assert found.artifact.manifest.metrics["method"] == "in-sample"
    assert found.artifact.manifest.class_counts == {"False": 809, "True": 500}


@pytest.mark.long
def test_without_data_every_dtype_and_null_is_answered_as_before(tmp_path: Path, make_client: MakeClient) -> None:
    X = every_dtype()
    folder = write_original(tmp_path / "original", telling(X), X)

    found = adopted(folder, tmp_path / "artifact", None)

    rows = [{**row, "object": "never seen", "category": "never"} for row in observations(X)[:50]] + observations(X)[50:]
    probas = served(make_client(artifacts=str(tmp_path / "artifact")), rows)
    assert probas == pytest.approx(original_probas(folder, rows), rel=0, abs=1e-12)
    assert found.artifact.manifest.metrics["method"] == "none"


@pytest.mark.long  # fits a forest, and verifies the artifact in a new process
def test_without_data_the_readme_is_answered_as_before(
    passengers: Path, tmp_path: Path, make_client: MakeClient
) -> None:
    adopted(passengers, tmp_path / "artifact", None)

    client = make_client(artifacts=str(tmp_path / "artifact"))
    rows = [PASSENGER, *all_passengers()[::6]]
    assert served(client, rows) == pytest.approx(original_probas(passengers, rows), rel=0, abs=1e-12)
    refused = client.post("/predict", json={"id": "x", "observation": {**PASSENGER, "Pclass": None}})
    assert refused.status_code == 422


@pytest.mark.parametrize(
    "pipeline",
    [
        LogisticRegression().fit([[0.0], [1.0]], [0, 1]),
        LogisticRegression().fit([[0.0], [1.0], [2.0]], ["a", "b", "c"]),
        Ridge().fit([[0.0], [1.0]], [0.5, 1.5]),
    ],
)
def test_without_data_there_is_no_reference_for_drift(pipeline: Any, tmp_path: Path, make_client: MakeClient) -> None:
    X = pd.DataFrame({"a": [0.0]})
    pipeline.feature_names_in_ = np.array(["a"], dtype=object)
    adopted(write_original(tmp_path / "original", pipeline, X), tmp_path / "artifact", None)

    client = make_client(artifacts=str(tmp_path / "artifact"))
    rows = [{"id": number, "observation": {"a": number / 10}} for number in range(100)]
    assert client.post("/predict", json=rows).status_code == 200

    drift = client.get("/drift").json
    assert (drift["verdict"], drift["drifted"], list(drift["columns"])) == (None, [], ["a"])
    assert drift["columns"]["a"] == {
        "kind": "number", "count": 100, "null_rate": 0.0, "p_value": None, "verdict": None, "changes": []
    }  # fmt: skip
    assert client.get("/openapi.json").status_code == client.get("/performance").status_code == 200


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:Constructing a Categorical")  # what the original does is deprecated
@pytest.mark.parametrize("with_data", [True, False])
def test_an_unseen_category_reaches_the_pipeline_as_a_null(
    with_data: bool, tmp_path: Path, make_client: MakeClient
) -> None:
    X = every_dtype()
    folder = write_original(tmp_path / "original", telling(X), X)
    file = as_csv(X, tmp_path) if with_data else None

    adopted(folder, tmp_path / "artifact", file, accept_unseen=["category", "numbered"])

    row = {**observations(X)[0], "category": "unseen", "numbered": 7}
    probas = served(make_client(artifacts=str(tmp_path / "artifact")), [row])
    assert probas == pytest.approx(original_probas(folder, [row]), rel=0, abs=1e-12)


def test_a_pipeline_that_cannot_answer_nulls_takes_none_without_data(tmp_path: Path) -> None:
    X = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.5, 0.1, 0.2, 0.9]})
    folder = write_original(tmp_path / "original", LogisticRegression().fit(X, [0, 1, 0, 1]), X)

    signature = adopted(folder, tmp_path / "artifact", None).artifact.manifest.signature

    assert [column.nullable for column in signature] == [False, False]


def with_codes(folder: Path, codes: list[Any]) -> tuple[Path, CsvFile]:
    X = pd.DataFrame({"zip code": pd.Series(codes * 10, dtype=object)})
    return write_original(folder / "original", telling(X), X), as_csv(X, folder)


@pytest.mark.parametrize("codes", [["00001", "00002"], ["00001", None]])
def test_codes_in_a_column_of_objects_must_be_read_as_texts(codes: list[Any], tmp_path: Path) -> None:
    folder, file = with_codes(tmp_path, codes)
    original = unpickle(read_files(folder))

    with pytest.raises(DumpError, match=r"^'zip code' holds numbers with leading zeros, .* --string 'zip code'\.$"):
        rows_of_file(original, file, (), None, NOTHING)
    rows = rows_of_file(original, file, ("zip code",), None, NOTHING)
    assert rows.X["zip code"].tolist() == codes * 10
    assert rows.notes == ()


@pytest.mark.parametrize(
    ("values", "noted"),
    [
        ([1, 2], True),
        ([1.5, None], True),
        ([True, None], True),
        (["1", "2"], True),
        (["1", "x"], False),
        (["007", "x"], False),
        ([None, None], False),
    ],
)
def test_a_note_names_a_column_of_objects_that_is_read_without_texts(
    values: list[Any], noted: bool, tmp_path: Path
) -> None:
    folder, file = with_codes(tmp_path, values)

    notes = rows_of_file(unpickle(read_files(folder)), file, (), None, NOTHING).notes

    assert [note.endswith("if the original got texts, give --string 'zip code'.") for note in notes] == [True] * noted


def test_a_file_with_types_of_its_own_needs_no_note(tmp_path: Path) -> None:
    folder, _ = with_codes(tmp_path, [1, 2])
    file = CsvFile(tmp_path / "rows.ndjson")
    Path(file.path).write_text('{"zip code": 1}\n')

    assert rows_of_file(unpickle(read_files(folder)), file, (), None, NOTHING).notes == ()


def test_a_regressor_is_adopted_too(tmp_path: Path) -> None:
    X = pd.DataFrame({"a": RNG.normal(size=30)})
    rows = X.assign(y=X["a"] * 2)
    folder = write_original(tmp_path / "original", Ridge().fit(X, rows["y"]), X)

    manifest = adopted(folder, tmp_path / "artifact", as_csv(rows, tmp_path), "y").artifact.manifest

    assert (manifest.task.kind, manifest.metrics["method"]) == ("regression", "in-sample")


def test_a_null_that_another_marker_stands_for_is_refused(tmp_path: Path) -> None:
    X = pd.DataFrame({"word": pd.Series(["a", "b"] * 10, dtype=object)})
    folder = write_original(tmp_path / "original", telling(X), X)

    with pytest.raises(DumpError, match=r"observation with word None gets the output .* in the original app\."):
        adopted(folder, tmp_path / "artifact", as_csv(X, tmp_path), nullable=["word"])
    assert not (tmp_path / "artifact").exists()


def test_a_null_that_the_dtype_cannot_hold_is_not_declared(passengers: Path, tmp_path: Path) -> None:
    with pytest.raises(DumpError, match=r"^'Pclass' has the dtype int64 in dtypes\.pickle, which holds no null\.$"):
        adopted(passengers, tmp_path / "artifact", CsvFile(TITANIC), nullable=["Pclass"])


def test_a_pipeline_that_cannot_answer_here_is_to_be_fitted_again(tmp_path: Path) -> None:
    X = pd.DataFrame({"a": RNG.normal(size=20)})
    forest = RandomForestClassifier(n_estimators=2).fit(X, [0, 1] * 10)
    del forest.estimators_  # as if this scikit-learn read an attribute that another did not write
    folder = write_original(tmp_path / "original", forest, X)

    with pytest.raises(DumpError, match=r"as the original app passed it \(AttributeError: .*fit the pipeline again"):
        adopted(folder, tmp_path / "artifact", as_csv(X, tmp_path))


@pytest.mark.parametrize(
    ("columns", "target", "refusal"),
    [
        (["Age"], None, "has no column 'Pclass'; its columns are Age"),
        (None, "Lived", "has no column 'Lived'; its columns are"),
        (None, "Sex", "'Sex' is a column of the observations"),
        (None, "Name", r"holds 'x', which is none of the classes of the pipeline: 0, 1\.$"),
    ],
)
def test_rows_that_do_not_fit_the_original_are_refused(
    columns: list[str] | None, target: str | None, refusal: str, passengers: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(TITANIC).head(30).assign(Name="x")
    file = as_csv(table[columns] if columns else table, tmp_path)

    with pytest.raises(DumpError, match=refusal):
        adopted(passengers, tmp_path / "artifact", file, target)
