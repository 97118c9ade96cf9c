"""The training data of an artifact come back exactly as `fit` got them, or `dump` names the column."""

import datetime as dt
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from serialize import ArtifactError, DumpError, dump, load
from serialize.declarations import Declarations
from serialize.frame import as_array, as_table
from serialize.infer_signature import infer_signature
from serialize.signature import Signature
from serialize.training.data import TrainingData, keep, read
from service.errors import CannotLearn
from service.learning.retraining.requirements import require_training_data
from tests.support.missing import WITHOUT_PYARROW
from tests.support.passengers import PROJECT
from tests.support.ship import FRAME, SURVIVED, columns

Y = [1, 0, 1, 0]
BERLIN = ZoneInfo("Europe/Berlin")
# Kept as an earlier version wrote them, with the training data as Parquet.
EVERY_DTYPE = Path(__file__).parent / "every_dtype.parquet"  # `EXACT` and `Y`
WITH_PARQUET = Path(__file__).parent.parent / "artifacts" / "with_parquet"


def _objects(*values: Any) -> "pd.Series[Any]":
    return pd.Series(values, dtype=object)


def _times(unit: Any) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(np.array(["2020-01-01T00:00:00.123", "NaT", "2021-07-01", "1900-01-01"], f"M8[{unit}]"))


EXACT: dict[str, Any] = {
    "None": _objects("a", None, "naïve \U0001f600", ""),
    "NaN": _objects("a", np.nan, "x\x00y", ""),
    "NA": _objects("a", pd.NA, "null", "{}"),
    "str": pd.Series(["a", None, "b", ""], dtype="str"),
    "string": pd.array(["a", None, "b", ""], dtype="string"),
    "bool": [True, False, True, True],
    "boolean": pd.array([True, None, False, True], dtype="boolean"),
    "object boolean": _objects(True, None, False, True),
    "int8": np.array([1, 2, 3, -128], dtype="int8"),
    "int64": [2**62 + 1, -(2**63), 0, 1],
    "Int16": pd.array([1, None, 3, 4], dtype="Int16"),
    "object integer": _objects(1, None, 2**62 + 1, 3),
    "object number": _objects(1, 2.5, None, 3),
    "float64": [0.1, np.nan, -0.0, 1e308],
    "float32": np.array([0.1, np.nan, -0.0, 3], dtype="float32"),
    "float16": np.array([0.1, np.nan, -0.0, 3], dtype="float16"),
    "Float32": pd.array([0.1, None, 3, 4], dtype="Float32"),
    "ordered": pd.Categorical(["a", None, "b", "a"], categories=["z", "b", "a"], ordered=True),
    "numbers as categories": pd.Categorical([3, None, 1, 3], categories=[3, 1, 2]),
    "objects as categories": pd.Categorical(["a", None, "b", "a"], pd.Index(["z", "b", "a"], dtype=object)),
    "seconds": _times("s"),
    "nanoseconds in a zone": _times("ns").tz_localize("UTC").tz_convert("Europe/Berlin"),
    "date": _objects(dt.date(2020, 1, 1), None, dt.date(1, 1, 1), dt.date(9999, 12, 31)),
    "datetime": _objects(dt.datetime(2020, 1, 1, 1, 2, 3, 4, tzinfo=BERLIN), None, None, None),
    "Timestamp": _objects(pd.Timestamp("2020-01-01"), pd.NaT, pd.NaT, pd.NaT),
    "nothing": _objects(None, None, None, None),
    "a.b": [1, 2, 3, 4],
    "index": [1, 2, 3, 4],
    "y": [1, 2, 3, 4],
}
CONTAINERS: dict[str, tuple[Any, Any]] = {
    "float32": (np.array([[1, 2], [3, 4.5]], dtype="float32"), np.array([1, 0])),
    "integers": (np.array([[1, 2], [3, 4]]), np.array([True, False])),
    "objects": (np.array([["a", None], ["b", 2.5]], dtype=object), np.array(["a", "b"], dtype=object)),
    "texts": (np.array([["abc", "d"], ["e", "f"]]), np.array(["abc", "d"])),
    "datetimes": (np.array([["2020-01-01", "NaT"]] * 2, dtype="M8[s]"), np.array([1.5, 2], dtype="float32")),
    "vector": (np.array(["abc", "d"]), ["a", "b"]),
    "list": (["a b", "c"], [True, False]),
    "list of lists": ([[1, 2.5], [3, 4]], [1, 0]),
    "series": (pd.Series(["a b", "c"], name="said"), pd.Series([1, 0], name="said", dtype="int8")),
    "series without a name": (pd.Series(["a b", "c"]), pd.Series(pd.Categorical(["u", "v"]))),
    "frame": (pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 0]})),
    "column": (pd.DataFrame({"y": [1, 2]}), np.array([[1], [0]])),
}


def _signature(X: Any) -> Signature:
    container, table = as_table(X)
    return infer_signature(
        container, table, str(as_array(X).dtype) if container == "array" else None, Declarations.of()
    )


def _kept(X: Any, y: Any) -> TrainingData:
    signature = _signature(X)
    return read(keep(X, y, signature), signature)


def test_a_frame_comes_back_with_its_dtypes_nulls_and_categories() -> None:
    frame = pd.DataFrame(EXACT)

    found = _kept(frame, Y)

    pd.testing.assert_frame_equal(found.X, frame, check_exact=True)
    for name in (name for name in frame if frame[name].dtype == "object"):
        assert [type(value) for value in found.X[name]] == [type(value) for value in frame[name]], name
    assert found.X["ordered"].cat.categories.tolist() == ["z", "b", "a"]
    assert found.y == Y


@pytest.mark.parametrize("name", CONTAINERS)
def test_rows_and_targets_come_back_in_their_container(name: str) -> None:
    X, y = CONTAINERS[name]

    found = _kept(X, y)

    for given, kept in ((X, found.X), (y, found.y)):
        assert type(given) is type(kept)
        if isinstance(given, pd.DataFrame):
            pd.testing.assert_frame_equal(kept, given)
        elif isinstance(given, pd.Series):
            pd.testing.assert_series_equal(kept, given)
        elif isinstance(given, list):
            assert given == kept
        else:
            assert given.dtype == kept.dtype
            np.testing.assert_array_equal(given, kept)


def test_a_polars_frame_comes_back_as_the_pandas_frame_that_the_service_makes() -> None:
    found = _kept(pl.DataFrame({"age": [1, None], "port": ["C", None]}), pl.Series([1, 0]))

    assert found.X["age"].tolist() == [1, pd.NA]
    assert found.X["port"].tolist() == ["C", None]
    assert found.y.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (pd.DataFrame({"port": _objects("a", None, np.nan, "b")}), "column 'port': nan instead of None"),
        (pd.DataFrame({"fare": _objects(np.float64(1), None, 2.0, 3.0)}), "column 'fare': 1.0 instead of np.float64"),
        (np.full((4, 1), np.longdouble(1) / 3), "column 'x0': its values differ"),
    ],
)
def test_a_column_that_cannot_be_kept_exactly_is_named(X: Any, message: str) -> None:
    with pytest.raises(DumpError, match="X_train cannot be kept exactly") as refused:
        keep(X, Y, _signature(X))

    assert message in str(refused.value)


def test_targets_that_cannot_be_kept_exactly_are_refused() -> None:
    X = pd.DataFrame({"age": [1, 2]})

    with pytest.raises(DumpError, match="y_train cannot be kept exactly"):
        keep(X, np.array([1, 2], dtype=np.longdouble) / 3, _signature(X))


def test_the_file_is_json_that_other_programs_read() -> None:
    X = pd.DataFrame({"port": ["C", None, "S", "Q"], "survived": [1.5, np.nan, 2, 3]})

    kept = json.loads(gzip.decompress(keep(X, pd.Series(Y, name="survived"), _signature(X))))

    assert kept["X"]["columns"] == [["C", None, "S", "Q"], [1.5, None, 2, 3]]
    assert kept["y"]["columns"] == [Y]


def test_the_same_data_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame(EXACT)
    first = keep(frame, Y, _signature(frame))
    monkeypatch.setattr("time.time", lambda: 2e9)

    assert keep(frame.copy(), list(Y), _signature(frame)) == first


def test_the_file_of_an_older_artifact_is_read_with_pyarrow() -> None:
    frame = pd.DataFrame(EXACT)

    found = read(EVERY_DTYPE.read_bytes(), _signature(frame))

    pd.testing.assert_frame_equal(found.X, frame, check_exact=True)
    assert found.y == Y


def test_without_pyarrow_the_training_data_of_an_older_artifact_say_what_they_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    older = load(WITH_PARQUET)

    with pytest.raises(ArtifactError, match="as Parquet, which needs pyarrow; run pip install"):
        older.training_data()
    with pytest.raises(CannotLearn, match="as Parquet, which needs pyarrow"):
        require_training_data(older)


@pytest.mark.long  # starts a process
def test_without_pyarrow_an_older_artifact_is_served_and_training_data_are_kept() -> None:
    code = f"""{WITHOUT_PYARROW}
import pandas as pd
from serialize import load
from tests.serialize.training import test_data
load({str(WITH_PARQUET)!r}).verify_all()
test_data.test_a_frame_comes_back_with_its_dtypes_nulls_and_categories()
assert "pyarrow" not in sys.modules
"""

    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)


@pytest.mark.usefixtures("in_this_process")
def test_dump_keeps_the_training_data_only_when_it_is_asked_to(tmp_path: Path) -> None:
    fitted = make_pipeline(columns(), LogisticRegression()).fit(FRAME, SURVIVED)

    dump(fitted, FRAME, SURVIVED, tmp_path / "kept", metrics="none", include_training_data=True)
    dump(fitted, FRAME, SURVIVED, tmp_path / "without", metrics="none")

    kept, without = load(tmp_path / "kept"), load(tmp_path / "without")
    assert "training.json.gz" in kept.manifest.files
    pd.testing.assert_frame_equal(kept.training_data().X, FRAME)
    np.testing.assert_array_equal(kept.training_data().y, SURVIVED)
    with pytest.raises(ArtifactError, match="include_training_data=True"):
        without.training_data()
    (tmp_path / "kept" / "training.json.gz").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"training\.json\.gz is not the file"):
        load(tmp_path / "kept")


def test_without_targets_there_is_nothing_to_keep(tmp_path: Path) -> None:
    fitted = make_pipeline(columns(), LogisticRegression()).fit(FRAME, SURVIVED)

    with pytest.raises(DumpError, match="include_training_data needs y_train"):
        dump(fitted, FRAME, None, tmp_path / "none", include_training_data=True)


def test_an_older_artifact_has_no_training_data() -> None:
    older = load(Path(__file__).parent.parent / "artifacts" / "3")

    assert older.manifest.training is None
    with pytest.raises(ArtifactError, match="dump the model again"):
        older.training_data()


@pytest.mark.parametrize(
    "content",
    [b"PAR1", b"", gzip.compress(b"{}"), gzip.compress(b"{"), keep(FRAME, SURVIVED, _signature(FRAME))[:-9]],
    ids=["Parquet", "empty", "no members", "no JSON", "cut off"],
)
def test_a_damaged_file_is_refused_in_one_sentence(content: bytes) -> None:
    with pytest.raises(ArtifactError, match="The training data cannot be read"):
        read(content, _signature(FRAME))


def test_columns_of_different_lengths_are_refused() -> None:
    kept = json.loads(gzip.decompress(keep(FRAME, SURVIVED, _signature(FRAME))))
    kept["X"]["columns"][0].pop()

    with pytest.raises(ArtifactError, match="its columns have different lengths"):
        read(gzip.compress(json.dumps(kept).encode()), _signature(FRAME))
