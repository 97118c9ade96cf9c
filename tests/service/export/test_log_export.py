"""An exported log is read back by pandas without a difference, and the commands report errors in one line."""

import json
from collections import deque
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from service.__main__ import main
from service.export.formats import Blocks, Columns, write_ndjson
from service.export.log_table import export_table
from service.prediction.filter import PredictionFilter
from service.storage.connection import connect
from service.storage.migrate import prepare
from service.storage.reading.log_reader import log_reader
from service.storage.tables import Prediction
from tests.conftest import Client, MakeClient
from tests.service.export.test_parquet import read
from tests.support.filled import fill, insert
from tests.support.passengers import prediction

ADMIN = {"X-API-Key": "the-key-of-an-admin"}
FORMATS = ("ndjson", "csv", "parquet")
VERSIONS = {"model_version": "str"}  # pandas takes 12 digits for a number, if no letter is among them


def run(database_url: str, *arguments: str, typed: str = "") -> Result:
    """Runs a command of the service."""
    return CliRunner(env={"DATABASE_URL": database_url}).invoke(main, list(arguments), typed)


def exported(database_url: str, file: Path, *options: str) -> pd.DataFrame:
    """Exports the log and reads it with pandas."""
    form = file.suffix[1:]
    ran = run(database_url, "export", "--format", form, "-o", str(file), *options)
    assert ran.exit_code == 0, ran.stderr
    if form == "parquet":
        return read(file)
    if form == "csv":
        return pd.read_csv(file, keep_default_na=False, na_values=[""], dtype=VERSIONS)
    return pd.read_json(file, lines=True, precise_float=True, dtype=VERSIONS)


def test_the_progress_of_an_export_rises_to_the_end(database_url: str) -> None:
    database = connect(database_url)
    prepare(database)
    shares: list[float] = []
    fill(database_url, 3000)
    with database.connection_context():
        export_table(
            log_reader(database), PredictionFilter(), lambda _, blocks: deque(blocks, 0).clear(), shares.append
        )

    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.5 < shares[-1] == 1.0


@pytest.mark.parametrize("name", ["titanic", "iris", "diabetes"])
def test_pandas_reads_the_exported_log_without_a_difference(
    make_client: MakeClient, artifacts: dict[str, Path], database_url: str, tmp_path: Path, name: str
) -> None:
    client = make_client(database_url=database_url, admin_key=(ADMIN["X-API-Key"],), artifacts=str(artifacts[name]))
    client.post("/admin/seed", json={"rows": 150}, headers=ADMIN)
    rows = client.get("/predictions?limit=1000", headers=ADMIN).json["predictions"][::-1]
    labels = [
        column for column in ("predicted_class", "true_class", "predicted_value", "true_value") if column in rows[0]
    ]

    for form in FORMATS:
        frame = exported(database_url, tmp_path / f"log.{form}")

        assert len(frame) == len(rows) == 150
        for column in ("id", "observation_id", *labels, "threshold", "model_version"):
            expected = pd.Series([row[column] for row in rows], name=column)
            pd.testing.assert_series_equal(frame[column], expected, check_dtype=False, check_exact=True)
        observed = pd.DataFrame([row["observation"] for row in rows])
        found = frame[list(observed)].astype(observed.dtypes) if form == "parquet" else frame[list(observed)]
        pd.testing.assert_frame_equal(
            found, observed, check_dtype=form == "parquet", check_exact=True, check_column_type=False
        )
        if name == "iris":
            for label in rows[0]["probas"]:
                assert frame[f"probas.{label}"].tolist() == [row["probas"][label] for row in rows]
        created = pd.to_datetime(frame["created_at"], utc=True)
        assert created.tolist() == [pd.Timestamp(row["created_at"]) for row in rows]


def test_parquet_keeps_nulls_and_types(tmp_path: Path, database_url: str) -> None:
    prepare(connect(database_url))
    with connect(database_url) as database:
        insert(database, "1", observation='{"a":1,"b":null,"c":"","id":true,"d":null}')
        insert(database, "2", observation='{"a":null,"b":0.5,"c":null,"id":false,"d":null}', true_class="false",
               labelled_at=datetime(2026, 1, 31, tzinfo=UTC))  # fmt: skip

    table = exported(database_url, tmp_path / "log.parquet")

    kinds = {name: str(dtype) for name, dtype in table.dtypes.items()}
    assert [kinds[name] for name in ("a", "b", "c", "observation.id")] == ["Int64", "Float64", "string", "boolean"]
    assert (kinds["true_class"], kinds["labelled_at"]) == ("boolean", "datetime64[us, UTC]")
    assert table["a"].isna().tolist() == [False, True]
    assert table["c"].isna().tolist() == [False, True]
    assert table["c"][0] == ""
    assert table["d"].isna().all()


def test_a_column_with_two_kinds_of_values_is_json(tmp_path: Path, database_url: str) -> None:
    prepare(connect(database_url))
    with connect(database_url) as database:
        insert(database, "0", observation='{"a":1}')
        insert(database, '"0"', observation='{"a":1.5}')

    for form in FORMATS:
        frame = exported(database_url, tmp_path / f"log.{form}")
        assert frame["a"].tolist() == [1.0, 1.5]
        if form != "ndjson":  # pandas would read the texts as numbers
            assert frame["observation_id"].tolist() == ["0", '"0"']


def test_half_of_a_surrogate_pair_in_an_older_log_is_escaped(tmp_path: Path, database_url: str) -> None:
    prepare(connect(database_url))
    with connect(database_url) as database:
        insert(database, "1", observation='{"a":"é\\ud800"}')

    for form in FORMATS:
        assert exported(database_url, tmp_path / f"log.{form}")["a"].tolist() == ["é\\ud800"]


@pytest.fixture
def filled_url(database_url: str) -> str:
    prepare(connect(database_url))
    fill(database_url, 5)
    with connect(database_url) as database:
        insert(database, '"new"', created_at=datetime(2026, 3, 1, tzinfo=UTC), model_version="new", true_class="true",
               labelled_at=datetime(2026, 3, 2, tzinfo=UTC))  # fmt: skip
    return database_url


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ((), 6),
        (("--since", "2026-02-01"), 1),
        (("--until", "2026-02-01T00:00:00+02:00"), 5),
        (("--labelled",), 1),
        (("--labelled", "false"), 5),
        (("--model-version", "new"), 1),
        (("--model-version", "new", "--labelled", "false"), 0),
    ],
)
def test_options_select_rows(filled_url: str, options: tuple[str, ...], rows: int) -> None:
    ran = run(filled_url, "export", "--format", "ndjson", "-o", "-", *options)

    assert len([json.loads(line) for line in ran.stdout.splitlines()]) == rows
    assert ran.stderr == f"{rows} rows were written to -.\n"


def test_an_existing_file_is_replaced_only_with_force(filled_url: str, tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text("mine")

    refused = run(filled_url, "export", "--format", "csv", "-o", str(file))

    assert (refused.exit_code, file.read_text()) == (1, "mine")
    assert refused.stderr == "Error: log.csv already exists; give another name, or use --force to replace it.\n"
    assert len(exported(filled_url, file, "--force")) == 6
    assert [path.name for path in tmp_path.glob("*log.csv*")] == ["log.csv"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_parquet_may_go_to_standard_output(filled_url: str) -> None:
    ran = run(filled_url, "export", "--format", "parquet", "-o", "-")

    assert pd.read_parquet(BytesIO(ran.stdout_bytes))["observation_id"].tolist() == ["0", "1", "2", "3", "4", '"new"']


def test_without_pyarrow_parquet_says_what_to_install_before_it_touches_the_database(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("service.cli.bulk_options.find_spec", lambda name: None)

    ran = run(f"sqlite:///{tmp_path}/log.db", "export", "--format", "parquet", "-o", str(tmp_path / "log.parquet"))

    assert (ran.exit_code, ran.stderr) == (
        1,
        "Error: This command needs pyarrow, which is not installed; run pip install 'prediction-service[bulk]'.\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_formulas_are_escaped_only_with_the_option(tmp_path: Path, database_url: str) -> None:
    prepare(connect(database_url))
    with connect(database_url) as database:
        insert(database, "1", observation='{"a":"=1+1","b":-1.5,"c":"+x","d":"a=b","e":"@x"}')

    exact = exported(database_url, tmp_path / "log.csv").iloc[0]
    escaped = exported(database_url, tmp_path / "safe.csv", "--escape-formulas").iloc[0]

    assert exact[["a", "b", "c", "d", "e"]].tolist() == ["=1+1", -1.5, "+x", "a=b", "@x"]
    assert escaped[["a", "b", "c", "d", "e"]].tolist() == ["'=1+1", -1.5, "'+x", "a=b", "'@x"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export", "--format", "csv", "-o", "-", "--since", "noon"), "'noon' is not a date or a time in ISO 8601"),
        (("export", "--format", "ndjson", "-o", "-", "--escape-formulas"), "--escape-formulas is for --format csv."),
        (("export", "--format", "csv", "-o", "no/such/folder/log.csv"), "No such file or directory"),
        (("purge", "--older-than", "90"), "'90' is not a number of hours, days or weeks, such as 12h, 90d or 4w."),
        (("purge", "--older-than", "0d"), "'0d' is not a number of hours, days or weeks, such as 12h, 90d or 4w."),
        (("purge", "--older-than", "999999999w"), "'999999999w' is too long ago"),
    ],
)
def test_an_error_is_reported_without_a_traceback(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    url = f"sqlite:///{tmp_path}/log.db"
    prepare(connect(url))

    ran = run(url, *arguments)

    assert ran.exit_code != 0
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_export_without_a_log_is_an_error_and_creates_nothing(tmp_path: Path) -> None:
    ran = run(f"sqlite:///{tmp_path}/none.db", "export", "--format", "csv", "-o", str(tmp_path / "log.csv"))

    assert "has no log" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_row_that_is_labelled_between_the_two_passes_has_its_columns(tmp_path: Path, filled_url: str) -> None:
    database = connect(filled_url)

    def label_and_write(columns: Columns, blocks: Blocks) -> None:
        late = Prediction.update(true_class="true", labelled_at=datetime.now(UTC))
        late.where(Prediction.observation_id == "7").execute(database)
        write_ndjson(file, columns, blocks)

    with database.connection_context(), (tmp_path / "log.ndjson").open("wb") as file:
        insert(database, "7", observation='{"rare":[1]}')
        export_table(log_reader(database), PredictionFilter(labelled=True), label_and_write, lambda _: None)

    lines = [json.loads(line) for line in (tmp_path / "log.ndjson").read_text().splitlines()]
    assert [line["rare"] for line in lines] == [None, "[1]"]


def test_a_purge_counts_asks_and_erases(filled_url: str) -> None:
    counted = run(filled_url, "purge", "--older-than", "1h", "--dry-run")
    refused = run(filled_url, "purge", "--older-than", "1h", typed="n\n")
    silent = run(filled_url, "purge", "--older-than", "1h", typed="")
    done = run(filled_url, "purge", "--older-than", "1h", "--yes")
    again = run(filled_url, "purge", "--older-than", "1h", "--yes")

    assert counted.stdout.startswith("There are 6 predictions made before ")
    assert (refused.exit_code, silent.exit_code) == (1, 1)
    assert done.stdout == "6 predictions and their labels were erased.\n"
    assert again.stdout.startswith("There are 0 predictions")


def test_a_purged_id_can_be_predicted_again(client: Client, database_url: str) -> None:
    with connect(database_url) as database:
        insert(database, "0", created_at=datetime(2020, 1, 1, tzinfo=UTC))
    run(database_url, "purge", "--older-than", "4w", "--yes")

    assert "Idempotent-Replayed" not in client.post("/predict", json=prediction(0)).headers
