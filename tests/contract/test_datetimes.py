"""A model of dates and datetimes over HTTP: valid values get the pipeline's probabilities, others are refused, and
drift, segments, report, export and the API document know the columns."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from serialize import dump, load
from serialize.compiler.compile import compile_model
from serialize.compiler.runtime.compiled_model import CompiledModel
from serialize.frame import observations
from serialize.transformers import datetime_numbers
from service.__main__ import main
from service.web.schemas.of_model import observation
from tests.conftest import Client, MakeClient
from tests.service.export.test_parquet import read
from tests.support.openapi_examples import assert_examples_are_true

ADMIN = {"X-API-Key": "the-admin-key-of-these-tests"}
VALID = {"start": "2024-03-31T12:00:00.5", "seen": "2024-10-27T02:30:00+01:00", "born": "1990-05-17"}
OTHER_THAN_NAIVE: list[Any] = [
    "2024-03-31T12:00:00Z",
    "2024-03-31T12:00:00+01:00",
    "2024-03-31",
    "",
    None,
    1711886400,
    1.5,
    True,
    [],
    {},
    "now",
    "2024-03-31 12:00:00",
    "20240331T120000",
    "2024-03-31T12:00",
    "2024-03-31T12:00:00.",
    "2024-03-31T12:00:00,5",
    "2024-13-01T00:00:00",
    "2023-02-29T00:00:00",
    "2024-03-31T24:00:00",
    "2024-03-31T23:59:60",
    "2024-03-31T12:60:00",
    " 2024-03-31T12:00:00",
    "2024-03-31T12:00:00\n",
    "\uff12\uff10\uff12\uff14-03-31T12:00:00",
    "2024-W10-1T00:00:00",
    "1677-09-21T00:00:00",
    "2262-04-12T00:00:00",
    "9999-12-31T00:00:00",
    "0000-01-01T00:00:00",
    "12024-01-01T00:00:00",
    "-024-01-01T00:00:00",
]


def rows() -> pd.DataFrame:
    """300 rows of a naive, a zoned and a date column, the last two with nulls."""
    random = np.random.default_rng(0)
    seconds = pd.to_timedelta(random.integers(0, 10**8, 300), unit="s")
    seen = (pd.Timestamp("2021-01-01", tz="UTC") + seconds[::-1]).tz_convert("Europe/Berlin").as_unit("us")
    born: list[date | None] = [date(1950, 1, 1) + timedelta(days=int(days)) for days in random.integers(0, 20_000, 300)]
    born[7] = None
    return pd.DataFrame(
        {
            "start": (pd.Timestamp("2022-01-01") + seconds).as_unit("ns"),
            "seen": seen.where(np.arange(300) % 10 != 0),
            "born": pd.Series(born, dtype=object),
        }
    )


def fitted(X: pd.DataFrame) -> Pipeline:
    steps = (FunctionTransformer(datetime_numbers), SimpleImputer(), StandardScaler(), LogisticRegression())
    return make_pipeline(*steps).fit(X, X["start"].dt.month > 6)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dates") / "artifact"
    X = rows()
    dump(fitted(X), X, X["start"].dt.month > 6, folder, bounds={"born": (date(1900, 1, 1), None)})
    return folder


@pytest.fixture
def dated(make_client: MakeClient, model: Path) -> Client:
    return make_client(artifacts=str(model), admin_key=(ADMIN["X-API-Key"],))


def answer(client: Client, id_: Any, **changes: Any) -> Any:
    return client.post("/predict", json={"id": id_, "observation": {**VALID, **changes}})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seen": "2024-10-27T01:30:00Z"},
        {"seen": "2024-10-27t01:30:00z"},
        {"seen": "2024-10-27T01:30:00.000000000000-00:00"},
        {"seen": "2024-10-26T15:30:00-10:00"},
        {"seen": None},
        {"born": None},
        {"born": "1900-01-01"},
        {"born": "9999-12-31"},
        {"start": "2024-03-31T12:00:00.123456789"},
        {"start": "1677-09-22T00:00:00"},
        {"start": "2262-04-11T23:47:16.854775807"},
        {"start": "2024-02-29T23:59:59"},
    ],
)
def test_valid_values_get_the_probability_of_the_pipeline(dated: Client, model: Path, changes: Any) -> None:
    sent = {**VALID, **changes}
    born = None if sent["born"] is None else date.fromisoformat(sent["born"])
    seen = pd.Series(pd.to_datetime([sent["seen"]], utc=True).tz_convert("Europe/Berlin").as_unit("us"))
    start = np.array([sent["start"]], dtype="datetime64[ns]")
    frame = pd.DataFrame({"start": start, "seen": seen, "born": pd.Series([born], dtype=object)})

    reply = answer(dated, 1, **changes)

    assert reply.status_code == 200, reply.json
    assert reply.json["proba"] == pytest.approx(load(model).pipeline.predict_proba(frame)[0, 1], abs=1e-12)
    stored = dated.get("/predictions", headers=ADMIN).json["predictions"][0]["observation"]
    assert stored == sent
    assert answer(dated, 1, **changes).headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("start", value) for value in OTHER_THAN_NAIVE),
        ("start", "2024-03-31T12:00:00.1234567891"),
        ("start", "2024-03-31T12:00:00." + "0" * 100_000),
        ("seen", "2024-03-31T12:00:00"),
        ("seen", "2024-03-31"),
        ("seen", "2024-03-31T12:00:00+0100"),
        ("seen", "2024-03-31T12:00:00+01"),
        ("seen", "2024-03-31T12:00:00+24:00"),
        ("seen", "2024-03-31T12:00:00+01:60"),
        ("seen", "2024-03-31T12:00:00 +01:00"),
        ("seen", "2024-03-31T12:00:00[Europe/Berlin]"),
        ("seen", "2024-03-31T12:00:00.1234567Z"),
        ("seen", "0001-01-01T00:00:00+14:00"),
        ("seen", "9999-12-31T23:59:59-12:00"),
        ("born", "1990-05-17T00:00:00"),
        ("born", "1990-5-17"),
        ("born", "17.05.1990"),
        ("born", "1899-12-31"),
        ("born", 19900517),
    ],
)
def test_other_values_are_refused_with_what_is_expected(dated: Client, column: str, value: Any) -> None:
    reply = answer(dated, 1, **{column: value})

    assert reply.status_code == 422
    (fault,) = reply.json["errors"]
    assert fault["pointer"] == f"/observation/{column}"
    assert fault["expected"].startswith("a date such as" if column == "born" else "an RFC 3339 datetime")


def test_the_limits_are_named_where_the_dtype_or_a_bound_sets_them(model: Path) -> None:
    start, seen, born = load(model).manifest.signature

    assert "without an offset" in start.expected
    assert "from 1677-09-21T00:12:43.145224193, up to 2262-04-11T23:47:16.854775807" in start.expected
    assert seen.expected == (
        "an RFC 3339 datetime with an offset, such as 2024-05-31T12:30:00+02:00, with at most 6 decimals of a second "
        "or null"
    )
    assert born.expected == "a date such as 2024-05-31, from 1900-01-01 or null"


def test_every_training_row_gets_the_probability_that_the_pipeline_gave_it(dated: Client) -> None:
    X = rows()
    sent = [{"id": i, "observation": row} for i, row in enumerate(observations(X))]

    replies = [
        one["proba"] for start in (0, 100, 200) for one in dated.post("/predict", json=sent[start : start + 100]).json
    ]

    np.testing.assert_allclose(replies, fitted(X).predict_proba(X)[:, 1], atol=1e-9)


def test_the_api_document_gives_formats_and_an_example_that_is_answered(dated: Client, model: Path) -> None:
    document = dated.get("/openapi.json").json
    columns = document["components"]["schemas"]["Observation"]["properties"]

    assert [columns[name]["format"] for name in ("start", "seen", "born")] == ["date-time", "date-time", "date"]
    assert [columns[name]["type"] for name in ("start", "born")] == ["string", ["string", "null"]]
    schema = observation(load(model).manifest.signature)
    assert jsonschema.Draft202012Validator(schema).is_valid(VALID)
    for wrong in ({"start": "2024-03-31T12:00:00Z"}, {"seen": "2024-03-31T12:00:00"}, {"born": "1990-05-17T00:00:00"}):
        assert not jsonschema.Draft202012Validator(schema).is_valid({**VALID, **wrong})
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    example = next(iter(body["examples"].values()))["value"] if "examples" in body else body["example"]
    assert dated.post("/predict", json=example).status_code == 200
    assert dated.get("/model").json["signature"]["columns"][1]["datetimes"] == {"unit": "us", "zone": "Europe/Berlin"}


def test_every_example_of_the_api_document_is_answered_as_it_says(
    make_client: MakeClient, model: Path, tmp_path: Path
) -> None:
    url, key = f"sqlite:///{tmp_path}/example.db", ADMIN["X-API-Key"]
    client = make_client(artifacts=str(model), database_url=url, admin_key=(key,), exports=str(tmp_path))

    assert_examples_are_true(client, load(model).manifest.golden.observations, key, is_seeded=False)


def test_drift_compares_the_times_whatever_their_spelling(dated: Client) -> None:
    sent = observations(rows())
    for row in sent:
        if row["seen"] is not None:
            row["seen"] = pd.Timestamp(row["seen"]).tz_convert("UTC").isoformat().replace("+00:00", "z")
    for start in (0, 100, 200):
        body = [{"id": start + i, "observation": row} for i, row in enumerate(sent[start : start + 100])]
        assert dated.post("/predict", json=body).status_code == 200

    same = dated.get("/drift").json["columns"]
    body = [{"id": 1000 + i, "observation": {**row, "born": "2020-01-01"}} for i, row in enumerate(sent[:100])]
    assert dated.post("/predict", json=body).status_code == 200
    moved = dated.get("/drift?last=100").json["columns"]

    assert [(same[name]["kind"], same[name]["verdict"]) for name in ("start", "seen", "born")] == [
        ("datetime", "ok")
    ] * 3
    assert same["seen"]["distance"] < 0.01
    assert moved["born"]["verdict"] == "drifted"
    assert set(moved["born"]["changes"]) == {"distribution", "out of range"}


def test_groups_report_and_export_show_dates(
    make_client: MakeClient, database_url: str, model: Path, tmp_path: Path
) -> None:
    X = rows()
    dated = make_client(artifacts=str(model), database_url=database_url)
    chosen = observations(X)[:100]
    sent = [{"id": i, "observation": row} for i, row in enumerate(chosen)]
    assert dated.post("/predict", json=sent).status_code == 200
    assert dated.post("/update", json=[{"id": i, "true_class": bool(i % 2)} for i in range(100)]).status_code == 200

    groups = dated.get("/performance?by=born").json["groups"]
    runner = CliRunner(env={"DATABASE_URL": database_url, "ARTIFACTS": str(model)})
    for form in ("csv", "parquet"):
        ran = runner.invoke(main, ["export", "--format", form, "-o", str(tmp_path / f"log.{form}")])
        assert ran.exit_code == 0, ran.output
    drawn = runner.invoke(main, ["report", "-o", str(tmp_path / "report.html")])

    ends = [end for group in groups if group["value"] is not None for end in group["value"] if end is not None]
    assert ends
    assert all(date(1950, 1, 1) <= date.fromisoformat(end[:10]) <= date(2005, 1, 1) for end in ends)
    assert sum(group["count"] for group in groups) == 100
    for table in (pd.read_csv(tmp_path / "log.csv"), read(tmp_path / "log.parquet")):
        table = table.sort_values("observation_id")  # noqa: PLW2901
        assert table["start"].tolist() == [row["start"] for row in chosen]
        born = [None if pd.isna(value) else value for value in table["born"]]
        assert born == [row["born"] for row in chosen]
    assert drawn.exit_code == 0, drawn.output


def test_a_model_of_datetimes_is_compiled_but_for_the_step_that_reads_them(model: Path) -> None:
    fitted_model = load(model).model

    compilation = compile_model(fitted_model, observations(rows()))  # `dump` would also ask whether it is faster

    assert compilation.content is not None
    assert CompiledModel(compilation.content, fitted_model).native == ["FunctionTransformer"]
    quantiles = json.loads((model / "manifest.json").read_text())["profile"]["columns"]["start"]["quantiles"]
    assert quantiles[0] == rows()["start"].min().timestamp()
